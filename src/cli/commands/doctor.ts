import { ClientError } from '../../client/index.ts'
import type { DoctorCheck, WarrenClient } from '../../client/index.ts'
import { loadSettings } from '../../config/load.ts'
import type { Loaded } from '../../config/load.ts'
import { untilKnown } from '../../node/doctor-wait.ts'
import type { Patience } from '../../node/doctor-wait.ts'
import { DONE, FAILED } from '../exit.ts'
import { asking, clientFor, meansThisMachine } from '../find-node.ts'
import type { Given } from '../given.ts'
import { nodeOptions } from '../node-options.ts'
import { show } from '../print.ts'
import { clean } from '../render.ts'
import { renderDoctor } from '../render-doctor.ts'
import { interrupted } from '../signals.ts'

/** Examines the node that runs, or one that is started for it. */
export async function doctor({ flags, own }: Given): Promise<number> {
  const loaded = await loadSettings({ user: 'doctor', flags, env: process.env })
  const { signal } = interrupted()
  const patience = { waitMs: Number(own['wait']) * 1000, signal, progress: progressLines() }
  const tell = (checks: DoctorCheck[]): number => answer(checks, loaded.settings.json)
  try {
    const client = await clientFor(loaded)
    const checks = client && (await ofRunning(client, loaded, patience))
    if (checks !== undefined) return tell(checks)
    return await ofExaminee(loaded, client, patience, tell)
  } catch (error) {
    if (!signal.aborted) throw error
    process.stderr.write('interrupted\n')
    return FAILED
  }
}

/** What the running node says; undefined when none runs here. */
async function ofRunning(
  client: WarrenClient,
  loaded: Loaded,
  patience: Required<Patience>,
): Promise<DoctorCheck[] | undefined> {
  let answers = false
  const look = async (): Promise<DoctorCheck[]> => {
    const checks = await client.doctor({ signal: patience.signal })
    if (!answers) sayUnused(client, loaded)
    answers = true
    return checks
  }
  try {
    return await asking(() => untilKnown(look, patience))
  } catch (error) {
    const nobody = error instanceof ClientError && error.code === 'ERR_API_UNREACHABLE'
    if (nobody && !answers && meansThisMachine(loaded)) return undefined
    throw error
  }
}

/** Options that were given for a node which is not started, as one runs. */
function sayUnused({ api }: WarrenClient, { sources }: Loaded): void {
  const used = new Set<string>(['api', 'api-token', 'json', 'config', 'data-dir'])
  const unused = [...sources].flatMap(([name, source]) =>
    source === 'flag' && !used.has(name) ? [`--${name}`] : [],
  )
  if (unused.length > 0)
    say(`the node at ${api} is examined as it runs: ${unused.join(', ')} changes nothing`)
}

/** Tells before the node is stopped, which takes a moment. */
async function ofExaminee(
  { settings }: Loaded,
  client: WarrenClient | undefined,
  patience: Required<Patience>,
  tell: (checks: DoctorCheck[]) => number,
): Promise<number> {
  const nobody =
    client === undefined ? 'the API is switched off' : `no node answers at ${client.api}`
  say(`${nobody}: a node is started for the examination`)
  const { startExaminee } = await import('../../node/examinee.ts')
  const { signal } = patience
  await using examinee = await startExaminee({ ...nodeOptions(settings), signal })
  if (examinee.taken !== undefined)
    say(`port ${examinee.taken} is in use: examined from another port`)
  return tell(await examinee.doctor(patience))
}

/** Of lines that go to a file or to another program. */
const WIDTH = 100

/** Node reads NO_COLOR, FORCE_COLOR and TERM. */
const hasColours = (stream: NodeJS.WriteStream): boolean => stream.isTTY && stream.hasColors()

function answer(checks: DoctorCheck[], json: boolean): number {
  const { stdout } = process
  const sheet = { width: stdout.isTTY ? stdout.columns : WIDTH, colour: hasColours(stdout) }
  show(json, checks, (all) => renderDoctor(all, sheet))
  return checks.some(({ result }) => result === 'problem') ? FAILED : DONE
}

function say(text: string): void {
  process.stderr.write(`${clean(text)}\n`)
}

/** What a line of progress may be long; the result says it in full. */
const LINE = 96

/** Whole lines with the time that has gone by: they read the same on a terminal and in a file. */
function progressLines(): (text: string) => void {
  const startedAt = performance.now()
  return (text) => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    const line = `${seconds.padStart(5)} s  ${text}`
    say(line.length > LINE ? `${line.slice(0, LINE - 1)}…` : line)
  }
}
