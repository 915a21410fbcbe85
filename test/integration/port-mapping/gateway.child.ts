/**
 * Runs in a network of its own, see gateway.test.ts: this host at 192.168.7.2, its gateway at 192.168.7.1 and an
 * impostor at 192.168.7.9, all on one device. Prints what the driver made of each kind of gateway.
 */
import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import type { Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { PORT_MAPPING_LIMITS } from '../../../protocols/port-mapping/limits.ts'
import type { Mapping } from '../../../protocols/port-mapping/io.ts'
import { PortMappingDriver } from '../../../src/drivers/port-mapping.ts'
import { askGateway, defaultGateway } from '../../../src/net/gateway/index.ts'

const [OWN, GATEWAY, IMPOSTOR] = ['192.168.7.2', '192.168.7.1', '192.168.7.9']

for (const args of [
  'link set lo up',
  'link add net0 type bridge',
  'link set net0 up',
  `addr add ${OWN}/24 dev net0`,
  // The route first: an address of this host is no next hop.
  `route add default via ${GATEWAY} dev net0 metric 50`,
  `addr add ${GATEWAY}/32 dev net0`,
  `addr add ${IMPOSTOR}/32 dev net0`,
])
  execFileSync('ip', args.split(' '))

type Answer = (question: Buffer) => { bytes: Buffer; from?: Socket }[]

async function bound(host: string, port: number): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(port, host)
  await once(socket, 'listening')
  return socket
}

/** A NAT-PMP gateway whose answers go through `twist`. */
async function natPmp(twist: Answer): Promise<AsyncDisposable> {
  const server = await bound(GATEWAY, 5351)
  server.on('message', (question, { port }) => {
    for (const { bytes, from } of twist(question)) (from ?? server).send(bytes, port, OWN)
  })
  return { [Symbol.asyncDispose]: async () => void (await once(server.close(), 'close')) }
}

function honest(question: Buffer): Buffer {
  if (question[0] !== 0) return Buffer.from([0, 128, 0, 1, 0, 0, 0, 9])
  if (question.length === 2) return Buffer.from([0, 128, 0, 0, 0, 0, 0, 9, 51, 20, 0, 10])
  const given = question.readUInt32BE(8) === 0 ? Buffer.alloc(6) : question.subarray(6, 12)
  return Buffer.concat([Buffer.from([0, 130, 0, 0, 0, 0, 0, 9]), question.subarray(4, 6), given])
}

/** What a driver gets within this time; every honest answer here takes milliseconds. */
const PATIENCE_MS = 1_500

async function mappedBy(twist: Answer | undefined): Promise<string> {
  await using _server = twist && (await natPmp(twist))
  const { promise, resolve } = Promise.withResolvers<Mapping | undefined>()
  const driver = new PortMappingDriver({
    endpoints: () => [{ ip: OWN, port: 4001 }],
    privateKey: new Uint8Array(32).fill(1),
    changed: (_family, mapping) => resolve(mapping),
  })
  driver.start()
  const late = setTimeout(() => resolve(undefined), PATIENCE_MS)
  const mapping = await promise
  clearTimeout(late)
  await driver.stop()
  return mapping === undefined ? 'nothing' : `${mapping.protocol} ${mapping.externalIp}`
}

const impostor = await bound(IMPOSTOR, 5351)
const otherPort = await bound(GATEWAY, 5352)

/** A body larger than any description. */
const web = createServer((_, response) => {
  if (response.req.url === '/whole') response.end('<root/>')
  else if (response.req.url === '/away') response.writeHead(302, { location: '/whole' }).end()
  else response.end('x'.repeat(PORT_MAPPING_LIMITS.maxBodyBytes + 1))
})
web.listen(5000, GATEWAY)
await once(web, 'listening')
const fetched = async (path: string, port = 5000): Promise<number | undefined> => {
  const request = { id: 1, method: 'GET' as const, port, path, headers: {}, body: '' }
  return (await askGateway(GATEWAY, request, OWN, new AbortController().signal))?.status
}

const found = {
  gateway: await defaultGateway('ip4'),
  honest: await mappedBy((question) => [{ bytes: honest(question) }]),
  garbageFirst: await mappedBy((question) => [
    { bytes: Buffer.alloc(0) },
    { bytes: Buffer.from([0]) },
    { bytes: Buffer.alloc(1_400, 0x80) },
    { bytes: honest(question) },
  ]),
  garbageOnly: await mappedBy((question) => [{ bytes: honest(question).subarray(0, 7) }]),
  impostor: await mappedBy((question) => [{ bytes: honest(question), from: impostor }]),
  anotherPort: await mappedBy((question) => [{ bytes: honest(question), from: otherPort }]),
  nobody: await mappedBy(undefined),
  http: [
    (await fetched('/whole')) ?? null,
    (await fetched('/away')) ?? null,
    (await fetched('/endless')) ?? null,
    (await fetched('/', 5001)) ?? null,
  ],
}
console.log(JSON.stringify(found))
web.close()
impostor.close()
otherPort.close()
