import { WarrenError } from '../../../protocols/kernel/errors.ts'
import { familyOf, plainHost } from './host.ts'

/** The other side of a hole punch, in which we play the client and it plays the server. */
export interface ExpectedPunch {
  /** IP address that its connection comes from. */
  readonly host: string
  /** Its source port. Leave it out only when its NAT makes that unpredictable. */
  readonly port?: number
  readonly role: 'client'
  /** Connections that may take the role; 8 by default, and never more than 32. */
  readonly uses?: number
}

// One for each punch under way. A punch takes seconds and a node runs a few of them at a time, so a list
// this long means that somebody forgets to dispose.
const MAX_EXPECTED = 64

// A connection upgraded as client does not count against libp2p's limits on inbound ones, so a stranger behind
// the same address must not get many. The other side of a punch needs one, and a few more for broken attempts.
const USES = 8

// A search for ports ends with as many connections as there were hits: six on average, and never 32.
const MAX_USES = 32

/** Punches whose other side may reach our listener instead of our connecting socket. */
export class ExpectedPunches {
  readonly #expected = new Set<{ host: string; port: number | undefined; uses: number }>()

  expect(punch: ExpectedPunch): Disposable {
    const host = plainHost(punch.host)
    if (familyOf(host) === undefined) {
      throw new WarrenError('ERR_ADDRESS_INVALID', `${punch.host} is not an IP address`)
    }
    if (this.#expected.size >= MAX_EXPECTED) {
      throw new WarrenError(
        'ERR_LIMIT_REACHED',
        `${MAX_EXPECTED} hole punches are under way already`,
      )
    }
    const uses = Math.min(punch.uses ?? USES, MAX_USES)
    const entry = { host, port: punch.port, uses }
    this.#expected.add(entry)
    return { [Symbol.dispose]: () => void this.#expected.delete(entry) }
  }

  /** Whether a connection accepted from there belongs to an expected punch; counts as one use of it. */
  claim(host: string, port: number | undefined): boolean {
    const plain = plainHost(host)
    for (const entry of this.#expected) {
      if (entry.host !== plain || (entry.port !== undefined && entry.port !== port)) continue
      if (entry.uses === 0) continue
      entry.uses--
      return true
    }
    return false
  }

  clear(): void {
    this.#expected.clear()
  }
}
