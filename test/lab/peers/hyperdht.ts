/**
 * HyperDHT as its users run it: `hyperdht.ts bootstrap HOST PORT`, `hyperdht.ts member BOOTSTRAP…` (public),
 * `hyperdht.ts serve BOOTSTRAP…` (echoes), `hyperdht.ts dial BOOTSTRAP…` (connects to the key it is given on stdin).
 */
import DHT from 'hyperdht'
import { say, whenAsked } from './speak.ts'

const [role, ...args] = process.argv.slice(2)

async function bootstrap(host = '', port = ''): Promise<void> {
  await DHT.bootstrapper(Number(port), host).fullyBootstrapped()
  say({ ready: true, name: `${host}:${port}` })
}

async function member(): Promise<void> {
  await new DHT({ bootstrap: args, ephemeral: false, firewalled: false }).fullyBootstrapped()
  say({ ready: true, name: 'member' })
}

async function serve(): Promise<void> {
  const dht = new DHT({ bootstrap: args })
  await dht.fullyBootstrapped()
  const keyPair = DHT.keyPair()
  const server = dht.createServer((stream) => {
    stream.on('error', () => {})
    stream.pipe(stream)
  })
  await server.listen(keyPair)
  say({ ready: true, name: keyPair.publicKey.toString('hex') })
}

async function dial(): Promise<void> {
  const dht = new DHT({ bootstrap: args })
  await dht.fullyBootstrapped()
  whenAsked(async (name) => connect(dht, name))
  say({ ready: true, name: 'dialer' })
}

/** From the call to the echo of the first bytes: HyperDHT has no relayed path to be ready earlier. */
async function connect(dht: DHT, name: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const startedMs = performance.now()
  const stream = dht.connect(Buffer.from(name, 'hex'))
  stream.on('error', reject)
  stream.once('open', () => stream.write('echo'))
  stream.once('data', () => resolve())
  await promise
  const { remoteHost, remotePort } = stream.rawStream
  say({
    direct: true,
    ms: performance.now() - startedMs,
    remote: `${remoteHost}:${remotePort}`,
  })
}

const roles: Record<string, () => Promise<void>> = {
  bootstrap: () => bootstrap(args[0], args[1]),
  member,
  serve,
  dial,
}
const play = role === undefined ? undefined : roles[role]
if (play === undefined) throw new Error(`usage: hyperdht.ts ${Object.keys(roles).join('|')} …`)
await play()
// A program that only serves ends with the laboratory, too.
if (role !== 'dial') whenAsked(async () => {})
