/** Readers of what only a node needs. They load libp2p's parsers, which other commands start faster without. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { z } from 'zod'
import { parseExpose, parseForward } from './places.ts'
import type { ExposeSpec, ForwardSpec } from './places.ts'
import { problem, reading, text } from './values.ts'
import type { Context } from './values.ts'

/** A swarm.key is three short lines; anything larger is another file. */
const MAX_KEY_FILE_BYTES = 1024
const PSK_HEADER = '/key/swarm/psk/1.0.0/'

type Part = { name: string; value?: string }

/** One reader a kind, text in and checked value out: addresses, peers and keys. */
export const overlayReaders = {
  listen: text.superRefine((value, ctx) => {
    const parts = readParts(value, ctx)
    if (parts !== undefined && !parts.some(({ name }) => name === 'tcp'))
      problem(ctx, `"${value}" is not a TCP address`, 'Write it like /ip4/0.0.0.0/tcp/4001.')
  }),
  announce: text.superRefine((value, ctx) => {
    readParts(value, ctx)
  }),
  bootstrap: text.superRefine((value, ctx) => {
    const parts = readParts(value, ctx)
    if (parts !== undefined && parts.at(-1)?.name !== 'p2p')
      problem(
        ctx,
        `"${value}" does not say which peer answers there`,
        'Add /p2p/ and its peer id at the end; `warren status` on that node prints the whole address.',
      )
  }),
  'network-key': text.transform((path, ctx) => readKeyFile(resolve(path), ctx)),
  expose: text.transform(reading(parseExpose)).superRefine(({ allow }: ExposeSpec, ctx) => {
    if (allow !== 'all') for (const peer of allow) checkPeer(peer, ctx)
  }),
  forward: text.transform(reading(parseForward)).superRefine(({ peer }: ForwardSpec, ctx) => {
    checkPeer(peer, ctx)
  }),
}

function readParts(value: string, ctx: Context): Part[] | undefined {
  let parts: Part[] = []
  try {
    parts = multiaddr(value).getComponents()
  } catch {
    // the one sentence below says it: the library's own messages speak of protocol codes
  }
  if (parts.length === 0)
    problem(ctx, `"${value}" is not a multiaddr`, 'Write it like /ip4/203.0.113.7/tcp/4001.')
  const peers = parts.filter(({ name }) => name === 'p2p')
  const sound = peers.every((part) => checkPeer(part.value ?? '', ctx))
  return parts.length > 0 && sound ? parts : undefined
}

function checkPeer(id: string, ctx: Context): boolean {
  try {
    peerIdFromString(id)
    return true
  } catch {
    problem(
      ctx,
      `"${id}" is not a peer id`,
      'Copy it whole from what `warren id` prints on that node.',
    )
    return false
  }
}

function readKeyFile(path: string, ctx: Context): Uint8Array {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch (error) {
    const why = (error as Error).message
    problem(ctx, `the key file cannot be read: ${why}`, 'Check the path and its permissions.')
    return z.NEVER
  }
  if (bytes.length <= MAX_KEY_FILE_BYTES && bytes.toString('utf8').startsWith(PSK_HEADER))
    return new Uint8Array(bytes)
  problem(
    ctx,
    `${path} is not a swarm.key file`,
    `Its three lines are ${PSK_HEADER}, /base16/ and 64 hexadecimal digits.`,
  )
  return z.NEVER
}
