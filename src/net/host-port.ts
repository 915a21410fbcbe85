import { WarrenError } from '../../protocols/kernel/errors.ts'

/** Where a TCP service or listener is. */
export interface HostPort {
  host: string
  port: number
}

/** Reads `host:port`, `[ip6]:port` or a bare `port`, for which `fallbackHost` stands in. */
export function parseHostPort(text: string, fallbackHost?: string): HostPort {
  const match = /^(?:(?:\[([0-9a-fA-F:.%\w]+)\]|([^\s:[\]/]+)):)?(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2] ?? fallbackHost
  const port = Number(match?.[3])
  if (match === null || host === undefined || port > 65_535) {
    throw new WarrenError('ERR_ADDRESS_INVALID', `"${text}" is not a host and a port`, {
      remedy: 'Write host:port, for example 127.0.0.1:8080 or [::1]:8080.',
    })
  }
  return { host, port }
}

/** The text of a host and a port, as `parseHostPort` reads it. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
