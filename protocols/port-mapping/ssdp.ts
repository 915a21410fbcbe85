import { canonicalIp } from '../kernel/address.ts'
import { PORT_MAPPING_LIMITS } from './limits.ts'

/** Where UPnP devices listen for searches, as a group and one by one. */
export const SSDP = { group: '239.255.255.250', port: 1900 } as const

/** A device of version 2 must answer for version 1; not all do. */
const TARGETS = [
  'urn:schemas-upnp-org:device:InternetGatewayDevice:1',
  'urn:schemas-upnp-org:device:InternetGatewayDevice:2',
]

const ANSWERS =
  /^urn:schemas-upnp-org:(device:InternetGatewayDevice|service:WAN(IP|PPP)Connection):\d$/

/** The searches that a gateway may answer. MX: devices spread their answers over a second. */
export function searches(): string[] {
  return TARGETS.map((target) =>
    [
      'M-SEARCH * HTTP/1.1',
      `HOST: ${SSDP.group}:${SSDP.port}`,
      'MAN: "ssdp:discover"',
      'MX: 1',
      `ST: ${target}`,
      '',
      '',
    ].join('\r\n'),
  )
}

/** A place on the gateway itself. */
export interface Place {
  port: number
  path: string
}

/** Where an answer to a search says that the gateway's description is; undefined when it does not, or points elsewhere. */
export function readFound(text: string, gateway: string): Place | undefined {
  if (text.length > PORT_MAPPING_LIMITS.maxSsdpBytes) return undefined
  const [status, ...lines] = text.split('\r\n')
  if (!/^HTTP\/1\.[01] 200\b/.test(status ?? '')) return undefined
  const header = (name: string): string | undefined => {
    const line = lines.find((one) => one.slice(0, name.length + 1).toLowerCase() === `${name}:`)
    return line?.slice(name.length + 1).trim()
  }
  if (!ANSWERS.test(header('st') ?? '')) return undefined
  return placeOn(gateway, header('location') ?? '')
}

/**
 * Reads a URL that has to lead to the gateway, by its address and over plain HTTP: what a device on the network writes
 * here must not make us talk to anybody else.
 */
export function placeOn(gateway: string, url: string, base?: string): Place | undefined {
  if (url.length > PORT_MAPPING_LIMITS.maxPath || !URL.canParse(url, base)) return undefined
  const { protocol, hostname, username, password, port, pathname, search } = new URL(url, base)
  if (protocol !== 'http:' || username !== '' || password !== '') return undefined
  if (canonicalIp(hostname) !== gateway) return undefined
  return { port: port === '' ? 80 : Number(port), path: pathname + search }
}
