/**
 * Runs in namespaces of its own, see isolated.test.ts. Two sides that can be dialled by anybody dial each other at the same
 * moment, from the ports they listen on, and meet in a simultaneous open: nobody has agreed on who plays the server. Prints what came of it as JSON.
 */
import { startMeetingPair } from './meeting-pair.ts'
import { echo } from './nodes.ts'

await using pair = await startMeetingPair()
const { left, right } = pair

const dials = await Promise.allSettled([left.dial(pair.toRight), right.dial(pair.toLeft)])
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
