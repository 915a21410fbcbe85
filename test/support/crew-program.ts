/**
 * A process that runs nodes and does with them what `crew.ts` asks for over the channel to its parent. It uses nothing
 * but the public API.
 */
import { setTimeout as after } from 'node:timers/promises'
import { createNode } from '../../src/index.ts'
import type { NodeOptions, WarrenNode } from '../../src/index.ts'
import { countStreamBytes } from './stream-bytes.ts'
import { COUNT_STREAMS } from './crew.ts'
import type { Answer, Answers, Ask, Member, Questions, Reached, Tries, View } from './crew.ts'

const streams = process.argv.includes(COUNT_STREAMS) ? countStreamBytes() : {}
const nodes = new Map<string, WarrenNode>()

/** Pings are asked for as long as the caller of `reach` allows, but one at least gets this. */
const LEAST_PING_MS = 1_000

/** One after the other: each that is up is part of the overlay that the next one joins. */
async function start(all: NodeOptions[], everyMs: number): Promise<Member[]> {
  const members: Member[] = []
  for (const options of all) {
    const next = after(everyMs)
    const node = await createNode(options)
    nodes.set(node.peerId, node)
    members.push({ peer: node.peerId, address: node.status().listening[0] ?? '' })
    await next
  }
  return members
}

function views(): View[] {
  return [...nodes.values()].map((node) => {
    const peers = node.peers()
    return {
      peer: node.peerId,
      links: peers.filter(({ state }) => state === 'linked').map(({ peer }) => peer),
      addressed: peers.filter(({ addresses }) => addresses.length > 0).map(({ peer }) => peer),
      reachability: node.status().reachability.verdict,
    }
  })
}

/** By peer id: it connects, the other side answers a ping, and a link that was made for this is closed again. */
async function reachOne(node: WarrenNode, to: string, timeoutMs: number): Promise<Reached> {
  const began = performance.now()
  const left = () => Math.max(LEAST_PING_MS, Math.round(timeoutMs - (performance.now() - began)))
  const was = node.peer(to)
  const linked = was?.state === 'linked'
  const known = (was?.addresses.length ?? 0) > 0
  try {
    const link = await node.connect(to, { timeoutMs })
    const { path } = await node.ping(to, { timeoutMs: left() })
    const ms = performance.now() - began
    if (!linked) await link.close()
    return { from: node.peerId, to, ok: true, ms, linked, known, path: path.kind }
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    return {
      from: node.peerId,
      to,
      ok: false,
      ms: performance.now() - began,
      linked,
      known,
      problem,
    }
  }
}

/** In the order given, so many at a time. */
async function reach(
  pairs: { from: string; to: string }[],
  { timeoutMs, atATime, beginWithinMs }: Tries,
): Promise<Reached[]> {
  const results: Reached[] = []
  const queue = pairs.values()
  const untilMs = performance.now() + beginWithinMs
  const worker = async (): Promise<void> => {
    for (const { from, to } of queue) {
      const node = nodes.get(from)
      if (node === undefined) throw new Error(`${from} does not run here`)
      if (performance.now() > untilMs) return
      results.push(await reachOne(node, to, timeoutMs))
    }
  }
  await Promise.all(Array.from({ length: atATime }, worker))
  return results
}

const answers: { [Q in keyof Questions]: (...args: Questions[Q]) => Promise<Answers[Q]> } = {
  start,
  views: async () => views(),
  reach,
  usage: async () => ({ rss: process.memoryUsage.rss(), cpuMicros: cpu(), streams }),
}

function cpu(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

function reply(answer: Answer): void {
  process.send?.(answer)
}

process.on('message', ({ id, question, args }: Ask) => {
  const work = answers[question] as (...args: unknown[]) => Promise<unknown>
  work(...args).then(
    (value) => reply({ id, value }),
    (error: unknown) =>
      reply({ id, problem: error instanceof Error ? error.message : String(error) }),
  )
})
// A crew whose parent is gone has nobody to run for.
process.on('disconnect', () => process.exit(0))
