/**
 * Runs in namespaces of its own, see isolated.test.ts. Two sides that can be dialled by anybody dial each other at the same
 * moment, from the ports they listen on, and the first SYN of each is lost: TCP's simultaneous open, and nobody has agreed on who
 * plays the server. Prints what came of it as JSON.
 */
import { execFileSync } from 'node:child_process'
import { echo, portOf, startNode } from './nodes.ts'

const HOST = '127.0.0.1'

execFileSync('ip', ['link', 'set', 'lo', 'up'])
await using left = await startNode([`/ip4/${HOST}/tcp/0`])
await using right = await startNode([`/ip4/${HOST}/tcp/0`])
const [leftPort, rightPort] = [portOf(left), portOf(right)]

execFileSync('nft', ['-f', '-'], {
  input: `table ip lossy {
    chain in {
      type filter hook input priority 0;
      tcp dport { ${leftPort}, ${rightPort} } tcp flags & (syn | ack) == syn numgen inc mod 1000000 < 2 drop
    }
  }`,
})

const dials = await Promise.allSettled([
  left.dial(`/ip4/${HOST}/tcp/${rightPort}`),
  right.dial(`/ip4/${HOST}/tcp/${leftPort}`),
])
const made = dials.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
console.log(
  JSON.stringify({
    made: made.length > 0,
    failures: dials.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : [])),
    fromListenPort: made.map(
      (one) => (left.transport.facts(one) ?? right.transport.facts(one))?.fromListenPort,
    ),
    echoes: await Promise.all(made.map(echo)),
  }),
)
