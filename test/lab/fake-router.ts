/**
 * A router that plays foul, as a program on the router: `garbage` answers every question with bytes that make no sense;
 * `liar` grants everything, maps nothing, and gives the address of somebody else as its own (or one
 * that shows another NAT); `upnp-liar` does so by UPnP only. Arguments: the way it plays, its LAN address, the address it
 * claims.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'

const [play = '', lan = '', claimed = ''] = process.argv.slice(2)
const HTTP_PORT = 5000
const bornMs = Date.now()
const epoch = (): number => Math.floor((Date.now() - bornMs) / 1000)

/** Datagrams of every length, and some that begin as answers do. */
function noise(question: Buffer): Buffer[] {
  const likeAnswer = Buffer.from(question)
  likeAnswer[1] = (likeAnswer[1] ?? 0) | 0x80
  return [
    Buffer.alloc(0),
    randomBytes(1),
    randomBytes(randomInt(2, 1400)),
    likeAnswer.subarray(0, randomInt(1, likeAnswer.length + 1)),
    Buffer.concat([likeAnswer, randomBytes(randomInt(1, 40))]),
    Buffer.concat([Buffer.from([0, 128, 0, 0]), randomBytes(randomInt(0, 20))]),
  ]
}

const address4 = (ip: string): Buffer => Buffer.from(ip.split('.').map(Number))
const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255])
const u32 = (value: number): Buffer => Buffer.concat([u16(value >>> 16), u16(value & 0xffff)])

function lie(question: Buffer): Buffer[] {
  const [version, op = 0] = question
  if (version === 0 && op === 0)
    return [Buffer.concat([Buffer.from([0, 128, 0, 0]), u32(epoch()), address4(claimed)])]
  if (version === 0) {
    const ports = question.subarray(4, 8)
    return [Buffer.concat([Buffer.from([0, 130, 0, 0]), u32(epoch()), ports, u32(1200)])]
  }
  const head = Buffer.concat([
    Buffer.from([2, 0x80 | op, 0, 0]),
    u32(1200),
    u32(epoch()),
    Buffer.alloc(12),
  ])
  if (op === 0) return [head]
  const mapped = Buffer.concat([Buffer.alloc(10), Buffer.from([255, 255]), address4(claimed)])
  return [Buffer.concat([head, question.subarray(24, 44), mapped])]
}

const mapper = createSocket('udp4')
mapper.on('message', (question, { port, address }) => {
  const answers = play === 'garbage' ? noise(question) : lie(question)
  for (const answer of answers) mapper.send(answer, port, address)
})
if (play !== 'upnp-liar') mapper.bind(5351, lan)

const finder = createSocket({ type: 'udp4', reuseAddr: true })
const location = (place: string): string =>
  [
    'HTTP/1.1 200 OK',
    'ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1',
    `LOCATION: ${place}`,
    '',
    '',
  ].join('\r\n')
finder.on('message', (_, { port, address }) => {
  const own = `http://${lan}:${HTTP_PORT}/description.xml`
  // Somebody else's address must never be asked for anything.
  const elsewhere = [
    location(`http://${claimed}:4001/`),
    location(`https://${lan}/`),
    'HTTP/1.1 200 OK\r\n\r\n',
  ]
  const answers =
    play === 'garbage'
      ? [randomBytes(900), ...elsewhere, location(own)]
      : [...elsewhere, location(own)]
  for (const answer of answers) finder.send(answer, port, address)
})
finder.bind(1900, () => finder.addMembership('239.255.255.250', lan))

const DESCRIPTION = `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device><serviceList>
<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>http://${claimed}:4001/</controlURL></service>
<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/control</controlURL></service>
</serviceList></device></root>`

const soap = (action: string, inside = ''): string =>
  `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:${action}Response xmlns:u="x">${inside}</u:${action}Response></s:Body></s:Envelope>`

/** One after the other: a body without an end, a flood, a redirect to somebody else, tags without an end, silence. */
const ODDITIES: ((response: ServerResponse) => void)[] = [
  (response) => {
    response.writeHead(200, { 'content-type': 'text/xml' })
    const drip = setInterval(() => response.write('<a>'), 50)
    response.on('close', () => clearInterval(drip))
  },
  (response) => void response.end('<root>'.repeat(100_000)),
  (response) => void response.writeHead(302, { location: `http://${claimed}:4001/` }).end(),
  (response) => void response.end('<!DOCTYPE a [<!ENTITY b "c">]><root>&b;</root>'),
  () => {},
]
let odd = 0

createServer((request, response) => {
  const action = /#(\w+)/.exec(request.headers['soapaction']?.toString() ?? '')?.[1]
  if (play === 'garbage') return ODDITIES[odd++ % ODDITIES.length]?.(response)
  if (action === undefined) return void response.end(DESCRIPTION)
  const inside =
    action === 'GetExternalIPAddress'
      ? `<NewExternalIPAddress>${claimed}</NewExternalIPAddress>`
      : ''
  return void response.end(soap(action, inside))
}).listen(HTTP_PORT, lan, () => console.log('listening'))
