/** Puts every contender through the same cells, one after the other, over the same wire, in the same run. */
import { cellName, type Cell, type CellOptions } from '../cell.ts'
import { Lab } from '../lab.ts'
import { needsIPv6 } from '../matrix.ts'
import { hostsOf } from '../world.ts'
import { CONTENDERS, never, type Attempt, type Contender, type Ground } from './contenders.ts'
import type { PeerReport } from './report.ts'

/** Plays all cells; `say` is told every attempt. */
export async function compare(
  cells: readonly Cell[],
  options: CellOptions,
  patienceMs: number,
  say: (line: string) => void,
): Promise<PeerReport[]> {
  const reports: PeerReport[] = []
  for (const cell of cells) reports.push(...(await compareCell(cell, options, patienceMs, say)))
  return reports
}

async function compareCell(
  cell: Cell,
  options: CellOptions,
  patienceMs: number,
  say: (line: string) => void,
): Promise<PeerReport[]> {
  const { rttMs, jitterMs, lossPercent, rangeSeed } = options
  const ipv6 = needsIPv6(cell)
  await using lab = await Lab.create({ rttMs, jitterMs, lossPercent, rangeSeed, ipv6 })
  const grounds = new Map<Contender, Ground>()
  for (const contender of CONTENDERS) grounds.set(contender, await contender.start(lab))
  const reports = CONTENDERS.map(({ name }): PeerReport => ({
    cell: cellName(cell),
    name,
    attempts: [],
  }))
  let played = 0
  for (let number = 1; number <= options.tries; number++) {
    // All in turn, so that whatever else the machine does meanwhile meets everyone.
    for (const [index, [{ name }, ground]] of [...grounds].entries()) {
      played += 1
      const { a, b } = await hostsOf(lab, cell, String(played))
      if (options.skewMs > 0) await lab.setLag(a, options.skewMs)
      const attempt = await ground.attempt(a, b, patienceMs).catch(failed)
      reports[index]?.attempts.push(attempt)
      const outcome =
        attempt.directMs === null ? attempt.reason : `${attempt.directMs.toFixed(0)} ms`
      say(`  ${cellName(cell)} ${number}/${options.tries} ${name}: ${outcome}`)
    }
  }
  return reports
}

const failed = (error: unknown): Attempt =>
  never(error instanceof Error ? error.message : String(error))
