/** What the programs of the comparison say to the laboratory, one JSON object a line, and what they are asked to do. */
import { createInterface } from 'node:readline'

/** A line of a program of the comparison. */
export type Said =
  /** It is of use now; `name` is what others need to know to reach it. */
  | { ready: true; name: string }
  /** Asked to connect, it has a direct path to this address, which has carried something. */
  | { direct: true; ms: number; remote: string }
  /** Asked to connect, it gave up by itself. */
  | { direct: false; reason: string }

/** Says something to the laboratory. */
export function say(said: Said): void {
  process.stdout.write(`${JSON.stringify(said)}\n`)
}

/** Calls back for the name of each peer to connect to, and ends the program when the laboratory hangs up. */
export function whenAsked(connect: (name: string) => Promise<void>): void {
  createInterface({ input: process.stdin })
    .on('line', (name) => {
      connect(name).catch((error: unknown) => say({ direct: false, reason: String(error) }))
    })
    .on('close', () => process.exit(0))
}
