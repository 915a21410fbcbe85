/** Commands that reach for a peer through the node. */
import { setTimeout as pause } from 'node:timers/promises'
import { ClientError } from '../../client/index.ts'
import type { Path, PingResult } from '../../client/index.ts'
import { DONE, FAILED, sentenceOf } from '../exit.ts'
import { asking, findNode } from '../find-node.ts'
import type { Given } from '../given.ts'
import { formatMs, formatPath } from '../render.ts'
import { interrupted } from '../signals.ts'
import { print, show } from '../print.ts'

interface ReachFlags {
  direct?: true
  timeout?: number
  count?: number
  interval?: number
}

const timeoutOf = ({ timeout }: ReachFlags): { timeoutMs?: number } =>
  timeout === undefined ? {} : { timeoutMs: timeout }

export async function connect({ args, flags, own }: Given): Promise<number> {
  const [peer = ''] = args
  const wish = own as ReachFlags
  const { client, json } = await findNode(flags)
  const path = wish.direct ? 'direct' : 'any'
  const link = await asking(() => client.connect(peer, { path, ...timeoutOf(wish) }))
  show(json, link, () => `linked to ${link.peer} in ${formatMs(link.ms)}: ${formatPath(link.path)}`)
  return DONE
}

/** Goes on after a failure, because the path may be about to change; fails when nothing came back at all. */
export async function ping({ args, flags, own }: Given): Promise<number> {
  const [peer = ''] = args
  const { count = 4, interval = 1000, ...wish } = own as ReachFlags
  const { client, json } = await findNode(flags)
  const { signal } = interrupted()
  const series = new Series(json)
  for (let n = 1; n <= count && !signal.aborted; n++) {
    if (n > 1) await pause(interval, undefined, { signal }).catch(() => {})
    if (signal.aborted) break
    try {
      series.answered(await asking(() => client.ping(peer, { ...timeoutOf(wish), signal })))
    } catch (error) {
      if (signal.aborted) break
      series.failed(error)
    }
  }
  series.end()
  return series.rtts.length > 0 ? DONE : FAILED
}

/** The round trips so far, and the lines that tell of them. */
class Series {
  readonly rtts: number[] = []
  readonly #json: boolean
  #sent = 0
  #path: Path | undefined

  constructor(json: boolean) {
    this.#json = json
  }

  answered(result: PingResult): void {
    this.#sent++
    this.rtts.push(result.rttMs)
    if (this.#json) return print(JSON.stringify(result))
    const before = this.#path
    this.#path = result.path
    if (before !== undefined && formatPath(before) !== formatPath(result.path))
      print(`path changed: ${formatPath(before)} -> ${formatPath(result.path)}`)
    const figures = [String(this.#sent).padEnd(3), formatMs(result.rttMs).padStart(7)]
    print(`${figures.join('  ')}  ${formatPath(result.path)}`)
  }

  /** Only what a peer can cure by answering is worth another try. */
  failed(error: unknown): void {
    this.#sent++
    if (!(error instanceof ClientError) || error.status === undefined || error.status < 500)
      throw error
    if (this.#json)
      print(JSON.stringify({ code: error.code, message: error.message, detail: error.detail }))
    else print(`${String(this.#sent).padEnd(3)}  ${sentenceOf(error)}`)
  }

  end(): void {
    if (this.#json || this.#sent === 0) return
    const [first, ...rest] = this.rtts.toSorted((a, b) => a - b)
    const summary = `${this.rtts.length} of ${this.#sent} answered`
    if (first === undefined) return print(summary)
    const total = this.rtts.reduce((sum, rtt) => sum + rtt, 0)
    const mean = formatMs(total / this.rtts.length)
    print(
      `${summary}; least ${formatMs(first)}, mean ${mean}, most ${formatMs(rest.at(-1) ?? first)}`,
    )
  }
}
