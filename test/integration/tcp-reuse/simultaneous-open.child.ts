/**
 * Runs in namespaces of its own, see isolated.test.ts. Both sides dial at the same time and meet in a simultaneous open,
 * having agreed on client and server. Prints what came of it as JSON.
 */
import { startMeetingPair } from './meeting-pair.ts'
import { echo } from './nodes.ts'

await using pair = await startMeetingPair()
const { left: client, right: server } = pair

const [ofClient, ofServer] = await Promise.all([
  client.dial(pair.toRight, { initiator: true, fallback: false }),
  server.dial(pair.toLeft, { initiator: false, fallback: false }),
])
console.log(
  JSON.stringify({
    directions: [ofClient.direction, ofServer.direction],
    dialled: [client.transport.facts(ofClient)?.dialled, server.transport.facts(ofServer)?.dialled],
    echoes: [await echo(ofClient), await echo(ofServer)],
    connections: [client.libp2p.getConnections().length, server.libp2p.getConnections().length],
  }),
)
