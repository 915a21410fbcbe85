import { isIP } from 'node:net'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { isServiceName } from '../../protocols/tunnel/limits.ts'
import { formatHostPort, parseHostPort } from '../net/host-port.ts'
import type { HostPort } from '../net/host-port.ts'

export { formatHostPort, parseHostPort } from '../net/host-port.ts'

/** Where the HTTP API listens, or is looked for. */
export type ApiPlace =
  | ({ kind: 'tcp' } & HostPort)
  | { kind: 'unix'; path: string }
  | { kind: 'off' }

/** A service to share, as `--expose` says it. */
export interface ExposeSpec {
  name: string
  target: string
  allow: 'all' | string[]
}

/** A peer's service to use, as `--forward` says it. */
export interface ForwardSpec {
  listen: string
  peer: string
  service: string
}

/** A peer id as text. Whether it really is one is found out by whoever uses it. */
export const PEER_ID = /^[A-Za-z0-9]{32,128}$/

/** Sun's `sun_path` is 108 bytes on Linux and 104 on the BSDs, with a closing zero. */
const MAX_SOCKET_PATH_BYTES = 103

const bad = (message: string, remedy: string): WarrenError =>
  new WarrenError('ERR_CONFIG_INVALID', message, { remedy })

/** Reads `HOST:PORT`, or a port alone, which means this machine only. */
export function parseListen(text: string): string {
  return formatHostPort(parseHostPort(text, '127.0.0.1'))
}

/** Reads the place of the API: `HOST:PORT`, `unix:PATH` or `off`. */
export function parseApi(text: string): ApiPlace {
  if (text === 'off') return { kind: 'off' }
  if (!text.startsWith('unix:')) {
    try {
      return { kind: 'tcp', ...parseHostPort(text) }
    } catch {
      throw bad(
        `"${text}" is not a place for the API`,
        'Write 127.0.0.1:4080, unix:/run/warren/api.sock or off.',
      )
    }
  }
  const path = text.slice('unix:'.length)
  if (path === '') throw bad('"unix:" names no socket', 'Write it like unix:/run/warren/api.sock.')
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES)
    throw bad(
      `the socket path ${path} is longer than ${MAX_SOCKET_PATH_BYTES} bytes, which the system does not allow`,
      'Use a shorter path, e.g. unix:/tmp/warren.sock.',
    )
  return { kind: 'unix', path }
}

/** Writes what `parseApi` reads. */
export function formatApi(place: ApiPlace): string {
  if (place.kind === 'tcp') return formatHostPort(place)
  return place.kind === 'unix' ? `unix:${place.path}` : 'off'
}

/** Reads a service's name. */
export function parseServiceName(text: string): string {
  if (!isServiceName(text))
    throw bad(
      `"${text}" is not a service name`,
      'Use 1 to 48 of a-z, 0-9, dot, underscore and dash, starting with a letter or digit.',
    )
  return text
}

/** Reads a list of peers that may use a service, or `all`. */
export function parseAllow(words: readonly string[]): 'all' | string[] {
  if (words.length === 1 && words[0] === 'all') return 'all'
  const wrong = words.find((word) => !PEER_ID.test(word))
  if (wrong !== undefined || words.length === 0)
    throw bad(
      wrong === undefined ? 'nobody is named who may use it' : `"${wrong}" is not a peer id`,
      'Name all (every member of this network), or peer ids as `warren id` prints them.',
    )
  return [...new Set(words)]
}

/** Reads `NAME=HOST:PORT,allow=all` or `NAME=HOST:PORT,allow=PEER+PEER`. */
export function parseExpose(text: string): ExposeSpec {
  const match = /^([^=,]*)=([^=,]*)(?:,allow=(.*))?$/.exec(text)
  if (match === null)
    throw bad(`"${text}" is not a service to expose`, 'Write it like web=127.0.0.1:8080,allow=all.')
  const [, name = '', target = '', allow] = match
  const service = { name: parseServiceName(name), target: formatHostPort(parseTarget(target)) }
  if (allow === undefined)
    throw bad(
      `"${text}" does not say who may use the service`,
      `Add ,allow=all for every member of this network, or ,allow=PEER+PEER for these peers only: ${text},allow=all`,
    )
  return { ...service, allow: parseAllow(allow.split('+')) }
}

/** Reads where a service really is: a host and a port one can connect to. */
export function parseTarget(text: string): HostPort {
  const target = parseHostPort(text)
  if (target.port === 0)
    throw bad(`"${text}" has port 0, which nobody can connect to`, 'Name the port of the service.')
  return target
}

/** Reads `PEER/NAME`. */
export function parseRemote(text: string): { peer: string; service: string } {
  const slash = text.indexOf('/')
  const peer = text.slice(0, Math.max(slash, 0))
  if (!PEER_ID.test(peer))
    throw bad(
      `"${text}" does not name a peer's service`,
      'Write PEER/NAME: the peer id, a slash, the name of the service.',
    )
  return { peer, service: parseServiceName(text.slice(slash + 1)) }
}

/** Reads `[HOST:]PORT=PEER/NAME`. */
export function parseForward(text: string): ForwardSpec {
  const equals = text.indexOf('=')
  if (equals === -1)
    throw bad(`"${text}" is not a forward`, 'Write [HOST:]PORT=PEER/NAME, e.g. 8080=12D3KooW…/web.')
  return { listen: parseListen(text.slice(0, equals)), ...parseRemote(text.slice(equals + 1)) }
}

/** Whether a host is this machine and nobody else's. */
export function isLoopback(host: string): boolean {
  const bare = host.toLowerCase().replace(/^\[|\]$/g, '')
  if (bare === 'localhost' || bare === '::1' || bare === '0:0:0:0:0:0:0:1') return true
  const four = bare.startsWith('::ffff:') ? bare.slice('::ffff:'.length) : bare
  return isIP(four) === 4 && four.startsWith('127.')
}
