/** Runs in a file, and back: all figures, and what they were measured on. */
import { readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { z } from 'zod'
import type { JudgedRow } from './judge.ts'
import { PLAY_NAMES, type Run } from './plays.ts'

/** Raised when a figure changes its name or meaning: files of before cannot be merged with files of after. */
const FORMAT = 1

const fileSchema = z.object({
  format: z.literal(FORMAT),
  runs: z.array(
    z.object({
      play: z.enum(PLAY_NAMES),
      options: z.looseObject({ n: z.number(), seed: z.number(), hours: z.number() }),
      node: z.string(),
      tookMs: z.number(),
      result: z.looseObject({}),
    }),
  ),
})

export async function save(
  file: string,
  runs: readonly Run[],
  judged: readonly JudgedRow[],
): Promise<void> {
  const rows = judged.map(({ row, verdict, figures }) => ({
    row: row.number,
    title: row.title,
    verdict,
    figures: figures.map(({ figure, values, verdict: one, differences }) => ({
      name: figure.name,
      values,
      verdict: one,
      differences,
    })),
  }))
  const data = {
    format: FORMAT,
    at: new Date().toISOString(),
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    rows,
    runs,
  }
  await writeFile(file, `${JSON.stringify(data)}\n`)
}

/** The runs of a file that `save` wrote. */
export async function load(file: string): Promise<Run[]> {
  const read = fileSchema.safeParse(parsed(await readFile(file, 'utf8')))
  if (read.success) return read.data.runs as unknown as Run[]
  const [issue] = read.error.issues
  const where = issue?.path.join('.') ?? ''
  throw new Error(
    `${file} is no file of --json: ${where === '' ? '' : `${where}: `}${issue?.message}`,
  )
}

/** Undefined for what is no JSON: no schema takes it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text, numbersBack)
  } catch {
    return undefined
  }
}

/** JSON has no NaN and no Infinity; what was one of them is `never` either way. */
const numbersBack = (_: string, value: unknown): unknown => (value === null ? Number.NaN : value)

/** Of two runs of one play with the same options the later stands. */
export function merged(runs: readonly Run[]): Run[] {
  const byIdentity = new Map<string, Run>()
  for (const run of runs) {
    const options = Object.entries(run.options).toSorted(([a], [b]) => (a < b ? -1 : 1))
    byIdentity.set(JSON.stringify([run.play, options]), run)
  }
  return [...byIdentity.values()]
}
