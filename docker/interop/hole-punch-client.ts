/** The dialer or the listener of libp2p's hole punching harnesses. See README.md. */
import { endpointOf } from '../../src/net/connection.ts'
import { meetingPoint } from './meeting-point.ts'
import { HarnessPeer } from './peer.ts'
import { isWithin, resultText } from './result.ts'
import { readSettings, type Settings } from './settings.ts'

async function dial(settings: Settings): Promise<void> {
  const peer = await HarnessPeer.start(settings.listenIp)
  await using meeting = await meetingPoint(settings)
  const relay = await meeting.relay()
  await peer.meetRelay(relay)
  const measured = await peer.punchTo(relay, await meeting.listener())
  const remote = endpointOf(measured.remoteAddr)
  process.stderr.write(`direct connection to ${measured.remoteAddr.toString()}\n`)
  // The harness itself does not look; a connection past the routers would prove nothing.
  if (settings.internet !== undefined && !isWithin(remote?.host ?? '', settings.internet))
    throw new Error(`${remote?.host} is not in ${settings.internet}: that was no hole punch`)
  process.stdout.write(resultText(settings.harness, measured))
  await peer.stop()
}

/** Stays until the harness ends it. */
async function listen(settings: Settings): Promise<void> {
  const peer = await HarnessPeer.start(settings.listenIp)
  await using meeting = await meetingPoint(settings)
  const relay = await meeting.relay()
  await peer.meetRelay(relay)
  await peer.reserve(relay)
  await meeting.publishListener(peer.id)
  process.stderr.write(`listening over ${relay}\n`)
  await new Promise((resolve) => process.once('SIGTERM', resolve))
  await peer.stop()
}

try {
  const settings = readSettings(process.env)
  await (settings.role === 'dial' ? dial(settings) : listen(settings))
  process.exit(0)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exit(1)
}
