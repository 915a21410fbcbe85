/**
 * Runs in namespaces of its own, see isolated.test.ts. Both sides dial at the same time and
 * the first SYN of each is lost, as at a NAT that has no mapping yet. Each SYN that is repeated after a second
 * meets a socket that is connecting: TCP's simultaneous open. Prints what came of it as JSON.
 */
import { execFileSync } from 'node:child_process'
import { echo, portOf, startNode } from './nodes.ts'

const HOST = '127.0.0.1'

execFileSync('ip', ['link', 'set', 'lo', 'up'])
await using client = await startNode([`/ip4/${HOST}/tcp/0`])
await using server = await startNode([`/ip4/${HOST}/tcp/0`])
const [clientPort, serverPort] = [portOf(client), portOf(server)]

execFileSync('nft', ['-f', '-'], {
  input: `table ip lossy {
    chain in {
      type filter hook input priority 0;
      tcp dport { ${clientPort}, ${serverPort} } tcp flags & (syn | ack) == syn numgen inc mod 1000000 < 2 drop
    }
  }`,
})

const [ofClient, ofServer] = await Promise.all([
  client.dial(`/ip4/${HOST}/tcp/${serverPort}`, { initiator: true, fallback: false }),
  server.dial(`/ip4/${HOST}/tcp/${clientPort}`, { initiator: false, fallback: false }),
])
console.log(
  JSON.stringify({
    directions: [ofClient.direction, ofServer.direction],
    dialled: [client.transport.facts(ofClient)?.dialled, server.transport.facts(ofServer)?.dialled],
    echoes: [await echo(ofClient), await echo(ofServer)],
    connections: [client.libp2p.getConnections().length, server.libp2p.getConnections().length],
  }),
)
