/**
 * Runs in namespaces of its own, see isolated.test.ts: names with several addresses need an /etc/hosts of our own,
 * and an address that does not answer needs a filter. Prints how each name was reached as JSON.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { echo, portOf, startNode } from './nodes.ts'
import type { TestNode } from './nodes.ts'

execFileSync('ip', ['link', 'set', 'lo', 'up'])
const folder = mkdtempSync(join(tmpdir(), 'warren-hosts-'))
const hosts = join(folder, 'hosts')
writeFileSync(
  hosts,
  `127.0.0.2 refusing.test
127.0.0.1 refusing.test
127.0.0.3 silent.test
127.0.0.1 silent.test
::1 ip6.test
`,
)
execFileSync('mount', ['--bind', hosts, '/etc/hosts'])
execFileSync('nft', ['-f', '-'], {
  input: `table ip silent {
    chain in { type filter hook input priority 0; ip daddr 127.0.0.3 drop; }
  }`,
})

const LISTEN = ['/ip4/127.0.0.1/tcp/0', '/ip6/::1/tcp/0']

async function reach(address: (server: TestNode) => string): Promise<object> {
  await using client = await startNode(LISTEN)
  await using server = await startNode(LISTEN)
  const connection = await client.dial(address(server))
  const facts = client.transport.facts(connection)
  return {
    family: client.transport.listening().find(({ port }) => port === facts?.localPort)?.family,
    fromListenPort: facts?.fromListenPort,
    echo: await echo(connection),
  }
}

console.log(
  JSON.stringify({
    refusing: await reach((server) => `/dns4/refusing.test/tcp/${portOf(server)}`),
    silent: await reach((server) => `/dns/silent.test/tcp/${portOf(server)}`),
    ip6: await reach((server) => `/dns6/ip6.test/tcp/${server.transport.listening()[1]?.port}`),
  }),
)
rmSync(folder, { recursive: true })
