/** Runs one job in a thread of its own, and tells how far it is. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import type { Determinism, Progress, ScenarioOptions } from '../results.ts'
import { scenarios } from '../scenarios/index.ts'
import type { Job } from './options.ts'
import { PLAYS, type AnyResult } from './plays.ts'

export type FromWorker =
  | { type: 'progress'; progress: Progress }
  | { type: 'done'; result: AnyResult; tookMs: number }

/** Quick enough for a line that people watch, rare enough to cost nothing. */
const TELL_EVERY_MS = 200
/** Row 27 asks for three runs. */
const SAME_RUNS = 3
const SAME_HOURS = 0.25

// A heap is only worth measuring after a collection, and a flag for the whole process would slow every world down.
setFlagsFromString('--expose-gc')
globalThis.gc = runInNewContext('gc') as NonNullable<typeof globalThis.gc>

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin, only windows have
const tell = (message: FromWorker) => parentPort?.postMessage(message)

let toldAt = -Infinity
function report(progress: Progress): void {
  const now = performance.now()
  if (now - toldAt < TELL_EVERY_MS) return
  toldAt = now
  tell({ type: 'progress', progress })
}

function determinism(options: ScenarioOptions): Determinism {
  const hashes = Array.from(
    { length: SAME_RUNS },
    () => scenarios.steady({ ...options, hours: SAME_HOURS }, report).stateHash,
  )
  return { n: options.n, hashes }
}

const { play, options } = workerData as Job
const { scenario } = PLAYS[play]
const started = performance.now()
const result =
  scenario === 'determinism' ? determinism(options) : scenarios[scenario](options, report)
tell({ type: 'done', result, tookMs: Math.round(performance.now() - started) })
