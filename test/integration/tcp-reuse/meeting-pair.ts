import { execFileSync } from 'node:child_process'
import { portOf, startNode } from './nodes.ts'
import type { TestNode } from './nodes.ts'

const HOST = '127.0.0.1'

interface MeetingPair extends AsyncDisposable {
  left: TestNode
  right: TestNode
  toLeft: string
  toRight: string
}

/**
 * Two nodes, in namespaces of their process's own, that dial each other in vain at first: the first SYN of each is lost, as at
 * a NAT that has no mapping yet. Each SYN that is repeated after a second meets a socket that is connecting: TCP's simultaneous open.
 */
export async function startMeetingPair(): Promise<MeetingPair> {
  execFileSync('ip', ['link', 'set', 'lo', 'up'])
  await using started = new AsyncDisposableStack()
  const left = started.use(await startNode([`/ip4/${HOST}/tcp/0`]))
  const right = started.use(await startNode([`/ip4/${HOST}/tcp/0`]))
  const [leftPort, rightPort] = [portOf(left), portOf(right)]
  execFileSync('nft', ['-f', '-'], {
    input: `table ip lossy {
      chain in {
        type filter hook input priority 0;
        tcp dport { ${leftPort}, ${rightPort} } tcp flags & (syn | ack) == syn numgen inc mod 1000000 < 2 drop
      }
    }`,
  })
  const both = started.move()
  return {
    left,
    right,
    toLeft: `/ip4/${HOST}/tcp/${leftPort}`,
    toRight: `/ip4/${HOST}/tcp/${rightPort}`,
    [Symbol.asyncDispose]: () => both.disposeAsync(),
  }
}
