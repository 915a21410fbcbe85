/** Runs jobs, each in a worker thread, so many at a time. */
import { totalmem } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Progress } from '../results.ts'
import type { Job } from './options.ts'
import type { Run } from './plays.ts'
import type { FromWorker } from './worker.ts'

export interface Watcher {
  progress(job: Job, progress: Progress): void
  done(job: Job, run: Run): void
  failed(job: Job, error: Error): void
}

/** A world may take its share of most of the machine's memory: the usual limit of 4 GB is for smaller things. */
const heapLimitMb = (workers: number): number => Math.floor((0.85 * totalmem()) / 2 ** 20 / workers)

/** Most of what a step makes is garbage after the next few: a larger nursery than usual lets it die there. */
const NURSERY_MB = 192

/** Resolves when all jobs have ended; after `signal`, when all threads have. */
export async function runAll(
  jobs: readonly Job[],
  workers: number,
  watcher: Watcher,
  signal: AbortSignal,
): Promise<void> {
  const waiting = [...jobs]
  const threads = Math.min(workers, jobs.length)
  const lane = async () => {
    for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
      if (signal.aborted) return
      await runOne(job, heapLimitMb(threads), watcher, signal)
    }
  }
  await Promise.all(Array.from({ length: threads }, lane))
}

/** Ends when the thread has; what went wrong in it is told to the watcher. */
function runOne(job: Job, heapMb: number, watcher: Watcher, signal: AbortSignal): Promise<void> {
  const worker = new Worker(new URL('worker.ts', import.meta.url), {
    workerData: job,
    resourceLimits: { maxOldGenerationSizeMb: heapMb, maxYoungGenerationSizeMb: NURSERY_MB },
  })
  let finished = false
  const stop = () => void worker.terminate()
  signal.addEventListener('abort', stop, { once: true })
  worker.on('message', (message: FromWorker) => {
    if (message.type === 'progress') return watcher.progress(job, message.progress)
    finished = true
    const { result, tookMs } = message
    watcher.done(job, { ...job, node: process.version, tookMs, result })
  })
  worker.on('error', (error: unknown) => {
    finished = true
    watcher.failed(job, error instanceof Error ? error : new Error(String(error)))
  })
  return new Promise((resolve) => {
    worker.on('exit', (code) => {
      signal.removeEventListener('abort', stop)
      if (!finished && !signal.aborted)
        watcher.failed(job, new Error(`its thread ended with code ${code}`))
      resolve()
    })
  })
}
