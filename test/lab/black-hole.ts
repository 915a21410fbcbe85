/** A public libp2p peer that grants reservations to everybody and passes nothing on; prints its peer id. */
import { makeBadRelay } from '../support/bad-relay.ts'
import type { Badness } from '../support/bad-relay.ts'

const [port, badness] = process.argv.slice(2)
const relay = await makeBadRelay(badness as Badness, [`/ip4/0.0.0.0/tcp/${port}`])
process.stdout.write(`${relay.id}\n`)
