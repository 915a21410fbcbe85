import { isIP } from 'node:net'
import { WarrenError } from '../../protocols/kernel/errors.ts'

/** A TCP address as people write it, `127.0.0.1:4080` or `[::1]:4080`. */
export interface HostPort {
  host: string
  port: number
}

const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_-]{1,63})*\.?$/

/**
 * Reads `HOST:PORT`, or a port alone if there is a `fallbackHost`; IPv6 addresses stand in brackets. Port 0 lets the
 * system choose.
 */
export function parseHostPort(text: string, fallbackHost?: string): HostPort {
  const match = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2] ?? fallbackHost ?? ''
  const port = Number(match?.[3])
  const hostFits = match?.[1] === undefined ? HOST_NAME.test(host) : isIP(host) === 6
  if (match === null || !hostFits || port > 65_535)
    throw new WarrenError('ERR_ADDRESS_INVALID', `"${text}" is not HOST:PORT`, {
      remedy: 'Write it like 127.0.0.1:8080, localhost:8080 or [::1]:8080.',
    })
  return { host, port }
}

/** Writes what `parseHostPort` reads. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
