/** `npm run sim`: runs worlds of the overlay and holds what they come to against the acceptance rows. */
import { drawAll } from './report/plots.ts'
import { load, merged, save } from './report/file.ts'
import { fails, judgeRow } from './report/judge.ts'
import { parseArgs, type Job, type SimCommand } from './report/options.ts'
import type { Run } from './report/plays.ts'
import { runAll } from './report/pool.ts'
import { nameOf, ProgressLines } from './report/progress.ts'
import { rowsTable } from './report/table.ts'

const INTERRUPTED = 130

/** Ctrl-C, or a polite kill, ends the worlds; a second one ends everything. */
function interruption(): AbortSignal {
  const controller = new AbortController()
  const interrupt = () => {
    if (controller.signal.aborted) process.exit(INTERRUPTED)
    controller.abort()
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  return controller.signal
}

/** All that was asked for; what failed or was interrupted is said, and missing. */
async function runJobs(
  { jobs, workers }: SimCommand,
  lines: ProgressLines,
  signal: AbortSignal,
): Promise<{ runs: Run[]; failed: number }> {
  const runs: Run[] = []
  const open = new Set(jobs)
  let failed = 0
  const watcher = {
    progress: lines.update.bind(lines),
    done: (job: Job, run: Run) => {
      open.delete(job)
      runs.push(run)
      lines.end(job, `${nameOf(job)}: done in ${(run.tookMs / 1_000).toFixed(1)} s${ending(run)}`)
    },
    failed: (job: Job, error: Error) => {
      open.delete(job)
      failed++
      lines.end(job, `${nameOf(job)}: FAILED: ${error.stack ?? error.message}`)
    },
  }
  await runAll(jobs, workers, watcher, signal)
  lines.clear()
  if (open.size > 0) lines.say(`interrupted: ${[...open].map(nameOf).join(', ')}`)
  return { runs, failed }
}

function ending({ result, tookMs }: Run): string {
  if (!('events' in result)) return ''
  const perSecond = (result.events / tookMs).toFixed(0)
  return `, ${perSecond}k events/s, state ${result.stateHash}`
}

async function main(): Promise<number> {
  const command = parseArgs(process.argv.slice(2))
  const earlier = (await Promise.all(command.merge.map(load))).flat()
  const signal = interruption()
  const lines = new ProgressLines(process.stderr, () => performance.now())
  const { runs, failed } = await runJobs(command, lines, signal)
  const all = merged([...earlier, ...runs])
  const judged = command.rows.map((row) => judgeRow(row, all))
  process.stdout.write(`${rowsTable(judged)}\n`)
  const plots = await drawAll(all, command.out)
  if (plots.length > 0) lines.say(`${plots.length} plots in ${command.out}`)
  if (command.json !== undefined) await save(command.json, all, judged)
  if (signal.aborted) return INTERRUPTED
  return failed > 0 || judged.some(fails) ? 1 : 0
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  return 1
})
