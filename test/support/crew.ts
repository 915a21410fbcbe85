/** Many nodes in a few processes, which can be killed as a whole; the parent's side. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as after } from 'node:timers/promises'
import { partsOf } from './overlay-views.ts'
import type { StreamBytes } from './stream-bytes.ts'
import type { NodeOptions, Path, Verdict } from '../../src/index.ts'

/** A node that was started. */
export interface Member {
  peer: string
  /** Where it listens, with its peer id. */
  address: string
}

/** What a node tells of its part of the overlay. */
export interface View {
  peer: string
  /** Peers it is linked to. */
  links: string[]
  /** Peers of which it knows an address. */
  addressed: string[]
  reachability: Verdict
}

/** What came of a try to reach a peer by its id. */
export interface Reached {
  from: string
  to: string
  ok: boolean
  ms: number
  /** Whether it was linked already. */
  linked: boolean
  /** Whether an address of it was known before. */
  known: boolean
  path?: Path['kind']
  problem?: string
}

export interface Usage {
  /** Bytes of the process in memory. */
  rss: number
  /** Processor time of the process so far. */
  cpuMicros: number
  /** What its streams carried so far, by protocol; nothing unless it was told to count. */
  streams: Record<string, StreamBytes>
}

/** How pairs are tried. */
export interface Tries {
  /** Each may take this long. */
  timeoutMs: number
  atATime: number
  /** None begins after this; what was not tried is not in the answer. */
  beginWithinMs: number
}

/** What a crew can be asked, with its arguments. */
export interface Questions {
  start: [options: NodeOptions[], everyMs: number]
  views: []
  reach: [pairs: { from: string; to: string }[], how: Tries]
  usage: []
}

export interface Answers {
  start: Member[]
  views: View[]
  reach: Reached[]
  usage: Usage
}

export interface Ask {
  id: number
  question: keyof Questions
  args: unknown[]
}

export type Answer = { id: number; value: unknown } | { id: number; problem: string }

/** With this argument the program counts what streams carry. */
export const COUNT_STREAMS = '--count-streams'

const PROGRAM = new URL('./crew-program.ts', import.meta.url)

/** Lines at the end of what a crew said, for the report when it fails. */
const LAST_WORDS = 2_000

/** A process with nodes in it. */
export class Crew implements AsyncDisposable {
  readonly members: Member[] = []
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #exited: Promise<unknown>
  #asked = 0
  #words = ''

  constructor({ countStreams = false } = {}) {
    this.#child = fork(PROGRAM, countStreams ? [COUNT_STREAMS] : [], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    const hear = (chunk: Buffer) =>
      (this.#words = (this.#words + chunk.toString()).slice(-LAST_WORDS))
    this.#child.stdout?.on('data', hear)
    this.#child.stderr?.on('data', hear)
    this.#child.on('message', (answer: Answer) => this.#answered(answer))
    this.#exited = once(this.#child, 'exit').then(() => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`the process ended: ${this.#words}`))
      this.#waiting.clear()
    })
  }

  /** Starts nodes, one every so many milliseconds or as fast as it can. */
  async start(options: NodeOptions[], everyMs = 0): Promise<Member[]> {
    const members = await this.ask('start', options, everyMs)
    this.members.push(...members)
    return members
  }

  /** Asks the process; the answer comes when it is done, or an error when it has ended. */
  async ask<Q extends keyof Questions>(question: Q, ...args: Questions[Q]): Promise<Answers[Q]> {
    const id = this.#asked++
    const waiting = Promise.withResolvers<unknown>()
    this.#waiting.set(id, waiting)
    const ask: Ask = { id, question, args }
    this.#child.send(ask, (error) => (error ? waiting.reject(error) : undefined))
    return (await waiting.promise.finally(() => this.#waiting.delete(id))) as Answers[Q]
  }

  /** SIGKILL: nobody in it says farewell. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  #answered(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    if ('problem' in answer) waiting?.reject(new Error(answer.problem))
    else waiting?.resolve(answer.value)
  }
}

/** How often nodes are asked what they know: there is no event for a hundred of them being one overlay. */
const LOOK_EVERY_MS = 500

export async function viewsOf(crews: readonly Crew[]): Promise<View[]> {
  return (await Promise.all(crews.map((crew) => crew.ask('views')))).flat()
}

/** Looks until the views of all nodes are as they should be, or the time is over; returns the last look. */
export async function lookUntil(
  crews: readonly Crew[],
  limitMs: number,
  good: (views: View[]) => boolean,
): Promise<View[]> {
  const deadline = performance.now() + limitMs
  for (;;) {
    const views = await viewsOf(crews)
    if (good(views) || performance.now() > deadline) return views
    await after(LOOK_EVERY_MS)
  }
}

/** Looks until all nodes are one overlay, so that each has links; throws when they are not in time. */
export async function untilOne(crews: readonly Crew[], limitMs: number): Promise<View[]> {
  const views = await lookUntil(crews, limitMs, (all) => partsOf(all).parts === 1)
  const { parts, largest } = partsOf(views)
  if (parts === 1) return views
  const seconds = (limitMs / 1000).toFixed(0)
  throw new Error(
    `${views.length} nodes are ${parts} overlays after ${seconds} s, the largest has ${largest}`,
  )
}
