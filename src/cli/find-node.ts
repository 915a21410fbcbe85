import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ClientError, WarrenClient } from '../client/index.ts'
import { loadSettings } from '../config/load.ts'
import type { Loaded, Settings } from '../config/load.ts'
import { formatApi, isLoopback, parseApi } from '../config/places.ts'
import type { ApiPlace } from '../config/places.ts'

/** A path or `HOST:PORT` is short; more than this was not written by `warren up`. */
const MAX_NOTE_CHARS = 512
const noteIn = (dataDir: string): string => join(dataDir, 'api')

/** Leaves word in the data directory where the API of its node is; the returned function takes it back. */
export function leaveNote(dataDir: string, address: string): () => void {
  writeFileSync(noteIn(dataDir), `${address}\n`, { mode: 0o600 })
  return () => {
    if (readNote(dataDir) === address) rmSync(noteIn(dataDir), { force: true })
  }
}

function readNote(dataDir: string): string | undefined {
  try {
    const note = readFileSync(noteIn(dataDir), 'utf8').trim()
    return note.length > MAX_NOTE_CHARS ? undefined : formatApi(parseApi(note))
  } catch {
    return undefined
  }
}

/** A client of the node that the options and the environment mean, and whether to print JSON. */
export async function findNode(
  flags: Record<string, unknown>,
): Promise<{ client: WarrenClient; json: boolean }> {
  const loaded = await loadSettings({ user: 'client', flags, env: process.env })
  const client = await clientFor(loaded)
  if (client === undefined)
    throw notRunning('The API is switched off (api: off); start the node with one.')
  return { client, json: loaded.settings.json }
}

/** A client of the node that the settings mean; undefined when they switch its API off. */
export async function clientFor(loaded: Loaded): Promise<WarrenClient | undefined> {
  const { settings } = loaded
  const { api } = settings
  if (api.kind === 'off') return undefined
  return isNamed(loaded) ? clientOf(formatApi(reachable(api)), settings) : await nodeOf(settings)
}

/** Whether the node that the settings mean, if it runs, runs on this machine. */
export function meansThisMachine(loaded: Loaded): boolean {
  const { api } = loaded.settings
  return api.kind !== 'tcp' || !isNamed(loaded) || isLoopback(reachable(api).host)
}

/** Port 0 was good for listening; which one it became is in the note. */
function isNamed({ settings: { api }, sources }: Loaded): boolean {
  return sources.get('api') !== 'default' && !(api.kind === 'tcp' && api.port === 0)
}

/**
 * The node of this data directory first: on a machine with several nodes the usual address may belong to
 * another one. Word of a node that was killed leads nowhere, and then the usual address counts.
 */
async function nodeOf(settings: Settings): Promise<WarrenClient> {
  const note = readNote(settings['data-dir'])
  if (note !== undefined) {
    const client = clientOf(formatApi(reachable(parseApi(note))), settings)
    if (await client.alive()) return client
  }
  return clientOf(
    settings.api.kind === 'tcp' && settings.api.port === 0 ? DEFAULT : formatApi(settings.api),
    settings,
  )
}

const DEFAULT = '127.0.0.1:4080'

function clientOf(api: string, settings: Settings): WarrenClient {
  return new WarrenClient({ api, token: settings['api-token'] })
}

/** An address to listen on everywhere is, for asking, this machine. */
function reachable<Place extends ApiPlace>(place: Place): Place {
  if (place.kind !== 'tcp') return place
  if (place.host === '0.0.0.0') return { ...place, host: '127.0.0.1' }
  return place.host === '::' ? { ...place, host: '::1' } : place
}

/** Says of a connection nobody took what it most probably means. */
export async function asking<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== 'ERR_API_UNREACHABLE') throw error
    throw notRunning('Start one with `warren up`, or name its API with --api (WARREN_API).', error)
  }
}

function notRunning(remedy: string, cause?: ClientError): ClientError {
  const message =
    cause === undefined ? 'no node can be asked' : `the node is not running: ${cause.message}`
  return new ClientError({ code: 'ERR_API_UNREACHABLE', message, detail: { remedy } }, { cause })
}
