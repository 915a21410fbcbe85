import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { formatApi, formatHostPort, isLoopback } from '../config/places.ts'
import type { ApiPlace } from '../config/places.ts'

/** A local socket answers at once or not at all. */
const PROBE_MS = 1_000

/** Refuses a place that other machines can reach, unless a token guards it. */
export function demandToken(place: ApiPlace, token: string | undefined): void {
  if (place.kind !== 'tcp' || isLoopback(place.host) || token !== undefined) return
  throw new WarrenError(
    'ERR_CONFIG_INVALID',
    `the API at ${formatHostPort(place)} could be used by other machines, and no token is set`,
    { remedy: 'Set WARREN_API_TOKEN (openssl rand -hex 24), or listen on 127.0.0.1 only.' },
  )
}

/** Listens where it was asked to and returns the place as others can use it, with the real port. */
export async function listenAt(
  app: FastifyInstance,
  place: Exclude<ApiPlace, { kind: 'off' }>,
): Promise<string> {
  try {
    if (place.kind === 'tcp') {
      await app.listen({ host: place.host, port: place.port })
      const bound = app.server.address()
      const port = typeof bound === 'object' && bound !== null ? bound.port : place.port
      return formatHostPort({ host: place.host, port })
    }
    await removeStaleSocket(place.path)
    // The mask is set around the call, so that the socket is never open to others, not even for a moment.
    const mask = process.umask(0o177)
    try {
      await app.listen({ path: place.path })
    } finally {
      process.umask(mask)
    }
    chmodSync(place.path, 0o600)
    return formatApi(place)
  } catch (error) {
    throw explain(error as NodeJS.ErrnoException, place)
  }
}

function explain(error: NodeJS.ErrnoException, place: ApiPlace): Error {
  if (error instanceof WarrenError) return error
  const where = formatApi(place)
  if (error.code === 'EADDRINUSE')
    return new WarrenError('ERR_PORT_IN_USE', `the API cannot listen on ${where}: it is in use`, {
      remedy:
        'Perhaps another node runs here: ask it with `warren status`. Otherwise choose another place with --api, e.g. 127.0.0.1:4081, or --api off.',
      cause: error,
    })
  return new WarrenError(
    'ERR_LISTEN_FAILED',
    `the API cannot listen on ${where}: ${error.message}`,
    {
      remedy: 'Choose another place with --api (WARREN_API).',
      cause: error,
    },
  )
}

/** A socket file stays behind when a node is killed; it may go only if nobody answers on it. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket())
    throw new WarrenError('ERR_LISTEN_FAILED', `${path} exists and is not a socket`, {
      remedy: 'Choose another path with --api unix:PATH; nothing was removed.',
    })
  if (await answers(path)) throw Object.assign(new Error('in use'), { code: 'EADDRINUSE' })
  unlinkSync(path)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const settle = (answered: boolean): void => {
      socket.destroy()
      resolve(answered)
    }
    socket.setTimeout(PROBE_MS, () => settle(true))
    socket.once('connect', () => settle(true))
    // Only a refusal proves that nobody listens; a full queue (EAGAIN) proves that somebody does.
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code !== 'ECONNREFUSED'))
  })
}
