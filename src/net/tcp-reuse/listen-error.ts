import type { Multiaddr } from '@multiformats/multiaddr'
import { tryGetNetConfig } from '@libp2p/utils'
import { WarrenError } from '../../../protocols/kernel/errors.ts'

const REMEDIES: Readonly<Record<string, string>> = {
  EACCES: 'Choose a port above 1023, or grant the process CAP_NET_BIND_SERVICE.',
  EADDRNOTAVAIL:
    'Listen on an address of this machine (`ip address` lists them), or on a wildcard.',
  EAFNOSUPPORT:
    'Leave out the addresses of that IP version, which is switched off on this machine.',
}

/** What a failed bind or listen means to the person who chose the address. */
export function listenError(ma: Multiaddr, cause: unknown): WarrenError {
  if (cause instanceof WarrenError) return cause
  const { code, message } = cause as NodeJS.ErrnoException
  const port = tryGetNetConfig(ma)?.port
  if (code === 'EADDRINUSE' && port !== undefined) return portInUse(ma, port, cause)
  const remedy = code === undefined ? undefined : REMEDIES[code]
  return new WarrenError('ERR_LISTEN_FAILED', `Cannot listen on ${ma.toString()}: ${message}`, {
    cause,
    detail: { address: ma.toString() },
    ...(remedy !== undefined && { remedy }),
  })
}

function portInUse(ma: Multiaddr, port: number, cause: unknown): WarrenError {
  return new WarrenError(
    'ERR_PORT_IN_USE',
    `TCP port ${port} is in use: cannot listen on ${ma.toString()}`,
    {
      cause,
      remedy: `See who holds it with \`ss -ltnp 'sport = :${port}'\`, or choose another port with \`--listen\`.`,
      detail: { address: ma.toString(), port },
    },
  )
}
