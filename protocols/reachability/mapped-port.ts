import type { Consensus } from './observed-addresses.ts'
import type { Endpoint } from './types.ts'

/** What a router says that it maps to us: the external port, and what it takes for its address. */
export interface SaidMapping {
  port: number
  said?: string
}

/** A port that our router says it opened, and where on the internet that is, as far as peers see the router. */
export class MappedPort {
  #said: SaidMapping | undefined
  #at: Endpoint | undefined
  /** Where most peers see our listening port. */
  #seen: Endpoint | undefined

  /** Where peers may try whether the mapping is real. */
  get at(): Endpoint | undefined {
    return this.#at
  }

  say(said: SaidMapping | undefined): void {
    this.#said = said
  }

  /**
   * The router's own word for its address only chooses among those that peers see: so nobody is ever sent to an address that the
   * router made up. Returns the place that is mapped no more.
   */
  follow({ endpoints }: Consensus, owns: (ip: string) => boolean): Endpoint | undefined {
    const before = this.#at
    this.#seen = endpoints[0]
    const port = this.#said?.port
    const ip = endpoints.find((seen) => seen.ip === this.#said?.said)?.ip ?? this.#seen?.ip
    const nowhere = port === undefined || ip === undefined || owns(ip)
    this.#at = nowhere ? undefined : { ip, port }
    return before === undefined || this.#isAt(before) ? undefined : before
  }

  /**
   * Whether this is the mapped place, and another one than where peers see us. What leaves from our listening port never leaves by
   * that place, so no filter ever opened for it: whoever gets through there came by the mapping, also a peer that we are in
   * contact with. A peer that we dial while it dials the place sees us there, because the router takes both for one
   * connection; that tells nothing of how it maps the others.
   */
  isAside(place: Endpoint): boolean {
    return this.#isAt(place) && this.#seen?.port !== place.port
  }

  #isAt({ ip, port }: Endpoint): boolean {
    return this.#at?.ip === ip && this.#at.port === port
  }
}
