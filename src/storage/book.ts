import { createHash } from 'node:crypto'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { readFileBounded, writeFileAtomic } from './files.ts'

/** What is remembered of a peer across restarts. */
export interface BookEntry {
  peer: string
  /** Multiaddrs. */
  addresses: string[]
  /** Milliseconds since 1970. */
  lastSeen: number
  /** Its signed record, to be checked again when read. */
  record?: Uint8Array
}

/** The peers known at the last snapshot, in a file. */
export interface PeerBook {
  /** Nothing when there is no file, or none that can be trusted. */
  load(): Promise<BookEntry[]>
  save(entries: readonly BookEntry[]): Promise<void>
}

/** As many as a node knows at a time. */
const MAX_ENTRIES = 1024
const MAX_ADDRESSES = 32
/** A record and its addresses stay below 4 KiB; base64 and JSON add half. */
const MAX_FILE_BYTES = MAX_ENTRIES * 8 * 1024

const File = z.object({
  format: z.literal('warren-peer-book'),
  version: z.literal(1),
  entries: z
    .array(
      z.object({
        peer: z.string().max(128),
        addresses: z.array(z.string().max(512)).max(MAX_ADDRESSES),
        lastSeen: z.number().int().nonnegative(),
        record: z.base64().max(8192).optional(),
      }),
    )
    .max(MAX_ENTRIES),
})

/** The book of a data directory; `warn` hears of a file that had to be put aside. */
export function peerBook(
  dataDir: string,
  warn: (fields: object, message: string) => void,
): PeerBook {
  const path = join(dataDir, 'peers.book')
  // One at a time: two snapshots at once could end up in the wrong order.
  let saving = Promise.resolve()
  return {
    async load() {
      try {
        const bytes = await readFileBounded(path, MAX_FILE_BYTES)
        return bytes === undefined ? [] : decode(bytes.toString())
      } catch (error) {
        const aside = `${path}.corrupt`
        // A file that may not be read is not corrupt; it stays where it is.
        if ((error as NodeJS.ErrnoException).code === 'EACCES') {
          warn({ error, path }, 'the peer book may not be read')
          return []
        }
        await rename(path, aside).catch(() => undefined)
        warn({ error, path, aside }, 'the peer book is damaged and was put aside')
        return []
      }
    },
    save(entries) {
      const bytes = Buffer.from(encode(entries))
      saving = saving.catch(() => undefined).then(() => writeFileAtomic(path, bytes))
      return saving
    },
  }
}

/** One line with the checksum of the rest, so that a file cut off or edited is noticed. */
function encode(entries: readonly BookEntry[]): string {
  const newestFirst = [...entries].sort((a, b) => b.lastSeen - a.lastSeen).slice(0, MAX_ENTRIES)
  const body = JSON.stringify({
    format: 'warren-peer-book',
    version: 1,
    entries: newestFirst.map(({ peer, addresses, lastSeen, record }) => ({
      peer,
      addresses: addresses.slice(0, MAX_ADDRESSES),
      lastSeen: Math.round(lastSeen),
      ...(record === undefined ? {} : { record: Buffer.from(record).toString('base64') }),
    })),
  } satisfies z.input<typeof File>)
  return `${checksum(body)}\n${body}\n`
}

function decode(text: string): BookEntry[] {
  const [sum, body = ''] = text.split('\n')
  if (sum !== checksum(body)) throw new Error('the checksum does not fit')
  return File.parse(JSON.parse(body)).entries.map(({ record, ...entry }) => ({
    ...entry,
    ...(record === undefined ? {} : { record: new Uint8Array(Buffer.from(record, 'base64')) }),
  }))
}

function checksum(body: string): string {
  return createHash('sha256').update(body).digest('hex')
}
