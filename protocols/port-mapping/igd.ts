import { placeOn } from './ssdp.ts'
import type { Place } from './ssdp.ts'
import { PORT_MAPPING_LIMITS } from './limits.ts'
import type { HttpAnswer, HttpRequest } from './way.ts'
import { elementsNamed, readXml, textOf } from './xml.ts'

/** Connections to the internet, best first. Only these exact names are ever written into a request. */
const SERVICES = [
  'urn:schemas-upnp-org:service:WANIPConnection:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1',
  'urn:schemas-upnp-org:service:WANPPPConnection:1',
]

/** A connection to the internet that a gateway can be asked to map ports on. */
export interface IgdService extends Place {
  type: string
}

/** Error codes of WANIPConnection that change what we do. */
export const IGD_ERROR = {
  noSuchEntry: 714,
  conflict: 718,
  samePort: 724,
  onlyPermanent: 725,
  conflictWithOther: 729,
} as const

/** The services that a description offers on the gateway itself, best first; undefined when it cannot be read. */
export function readDescription(
  body: string,
  gateway: string,
  from: Place,
): IgdService[] | undefined {
  const root = readXml(body)
  if (root === undefined || root.name !== 'root') return undefined
  const location = `http://${gateway}:${from.port}${from.path}`
  // UPnP 1.0 has a base of its own; one that leads elsewhere is as if it were not there.
  const given = textOf(root, 'URLBase') ?? ''
  const base = placeOn(gateway, given) === undefined ? location : given
  const found = elementsNamed(root, 'service').flatMap((service): IgdService[] => {
    const type = textOf(service, 'serviceType') ?? ''
    const place = placeOn(gateway, textOf(service, 'controlURL') ?? '', base)
    return SERVICES.includes(type) && place !== undefined ? [{ type, ...place }] : []
  })
  return found
    .sort((a, b) => SERVICES.indexOf(a.type) - SERVICES.indexOf(b.type))
    .slice(0, PORT_MAPPING_LIMITS.maxServices)
}

/** The request for a description. */
export function descriptionRequest(id: number, { port, path }: Place): HttpRequest {
  return { id, method: 'GET', port, path, headers: {}, body: '' }
}

/** A call of an action; arguments are our own words and numbers, which need no escaping. */
export function callRequest(
  id: number,
  service: IgdService,
  action: string,
  args: Record<string, string | number>,
): HttpRequest {
  const inner = Object.entries(args).map(([name, value]) => `<${name}>${value}</${name}>`)
  const body = [
    '<?xml version="1.0"?>',
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">',
    `<s:Body><u:${action} xmlns:u="${service.type}">${inner.join('')}</u:${action}></s:Body>`,
    '</s:Envelope>',
  ].join('\r\n')
  const headers = {
    'content-type': 'text/xml; charset="utf-8"',
    soapaction: `"${service.type}#${action}"`,
  }
  return { id, method: 'POST', port: service.port, path: service.path, headers, body }
}

/** What an action came to: its values, the gateway's error code, or nothing that makes sense. */
export type CallResult =
  | { type: 'done'; value: (name: string) => string | undefined }
  | { type: 'error'; code: number }
  | { type: 'garbage' }

/** Reads the answer to a call. */
export function readCall({ body }: HttpAnswer, action: string): CallResult {
  const root = readXml(body)
  if (root === undefined || root.name !== 'Envelope') return { type: 'garbage' }
  const [answer] = elementsNamed(root, `${action}Response`)
  if (answer !== undefined) return { type: 'done', value: (name) => textOf(answer, name) }
  const code = Number(textOf(root, 'errorCode') ?? Number.NaN)
  return Number.isInteger(code) && code > 0 ? { type: 'error', code } : { type: 'garbage' }
}
