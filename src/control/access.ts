import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import { isLoopback } from '../config/places.ts'
import type { ApiPlace } from '../config/places.ts'
import { ApiFailure } from './failure.ts'

/** What of a request decides whether it may be answered. */
export interface Asked {
  path: string
  headers: {
    host?: string | undefined
    origin?: string | undefined
    authorization?: string | undefined
    'sec-fetch-site'?: string | string[] | undefined
  }
}

export interface AccessRules {
  place: ApiPlace
  token?: string | undefined
  /** Further host names that lead here. */
  hosts?: readonly string[]
}

/** Paths that reveal nothing of the node: alive or not, and the page before it has asked anything. */
const OPEN = new Set(['/healthz', '/'])

/**
 * Keeps web pages and other users out: `Host` against DNS rebinding, `Origin` and `Sec-Fetch-Site` against
 * requests that another site's page makes, the token against everybody else. Throws where one fails.
 */
export function checkAccess(rules: AccessRules, asked: Asked): void {
  const { headers, path } = asked
  checkHost(rules, headers.host)
  checkOrigin(headers)
  const site = headers['sec-fetch-site']
  // Following a link to the page from elsewhere is fine; fetching anything else from elsewhere is not.
  if (!OPEN.has(path) && site !== undefined && site !== 'same-origin' && site !== 'none')
    throw forbidden(`another site (${String(site)}) may not ask this API`)
  if (rules.token !== undefined && !OPEN.has(path)) checkToken(rules.token, headers.authorization)
}

const forbidden = (message: string, remedy?: string): ApiFailure =>
  new ApiFailure(403, 'ERR_FORBIDDEN', message, remedy)

function checkHost(rules: AccessRules, header: string | undefined): void {
  // No browser can reach a Unix socket, and its permissions say who may.
  if (rules.place.kind === 'unix') return
  const host = hostOf(header)
  if (host !== undefined && isOwnHost(rules, host)) return
  throw forbidden(
    `this API is not called "${header ?? ''}"`,
    'Ask by the address it listens on, or name the host with --api-host (WARREN_API_HOST).',
  )
}

/** The host of a `Host` header, without port and brackets. */
function hostOf(header: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@\s]+))(?::\d{1,5})?$/i.exec(header ?? '')
  return (match?.[1] ?? match?.[2])?.toLowerCase()
}

/**
 * DNS rebinding needs a name that a stranger's DNS server answers for. So an address is safe where the
 * token guards it, and so is a name without a dot, which only the local resolver (compose, mDNS) knows.
 */
function isOwnHost({ place, token, hosts = [] }: AccessRules, host: string): boolean {
  if (isLoopback(host) || hosts.includes(host)) return true
  if (place.kind === 'tcp' && place.host.toLowerCase() === host) return true
  return token !== undefined && (isIP(host) !== 0 || !host.includes('.'))
}

/** Same origin means: the origin's host is the very host that was asked, over plain or proxied HTTP. */
function checkOrigin({ origin, host }: Asked['headers']): void {
  if (origin === undefined) return
  if (host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)) return
  throw forbidden(`pages of ${origin} may not ask this API`)
}

function checkToken(token: string, authorization: string | undefined): void {
  const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
  if (given !== undefined && equal(given, token)) return
  throw new ApiFailure(
    401,
    'ERR_UNAUTHORIZED',
    given === undefined ? 'this API demands a token' : 'the token is wrong',
    'Send "Authorization: Bearer TOKEN"; on the command line use --api-token or WARREN_API_TOKEN.',
  )
}

/** Hashing first makes the lengths equal, so that the time taken tells nothing about the token. */
function equal(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b))
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest()
