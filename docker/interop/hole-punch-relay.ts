/** A relay for libp2p's hole punching harnesses, of Warren's parts. See README.md. */
import { networkInterfaces } from 'node:os'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { warren } from '../../src/services.ts'
import { meetingPoint } from './meeting-point.ts'
import { readRelaySettings } from './settings.ts'

/** A harness that names no address gives its relay one network. */
function onlyAddress(): string {
  const all = Object.values(networkInterfaces()).flat()
  const own = all.find((one) => one?.family === 'IPv4' && !one.internal)
  if (own === undefined) throw new Error('this relay has no address')
  return own.address
}

try {
  const settings = readRelaySettings(process.env)
  const { transports, services } = warren()
  const libp2p = await createLibp2p({
    addresses: { listen: [`/ip4/${settings.listenIp}/tcp/0`] },
    transports,
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services: { identify: identify(), ping: ping(), ...services },
  })
  await libp2p.services.relay.serve(true)
  const ip = settings.listenIp === '0.0.0.0' ? onlyAddress() : settings.listenIp
  const address = libp2p.getMultiaddrs().find((one) => one.toString().includes(`/ip4/${ip}/`))
  if (address === undefined) throw new Error(`nothing listens at ${ip}`)
  await using meeting = await meetingPoint(settings)
  await meeting.publishRelay(address.toString())
  process.stderr.write(`relaying at ${address.toString()}\n`)
  await new Promise((resolve) => process.once('SIGTERM', resolve))
  await libp2p.stop()
  process.exit(0)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(1)
}
