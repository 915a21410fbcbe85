import { networksOf } from '../kernel/address.ts'
import type { Instant } from '../kernel/machine.ts'
import type { Behaviour } from './types.ts'
import { Remembered } from './remembered.ts'

/** What a probe came to: a `stranger` to the port got in, somebody else did, or nobody. */
export interface FilterWord {
  result: 'stranger' | 'reached' | 'failed'
  /** `fresh` ports have sent to the helper alone, `silent` ones to nobody. */
  door: 'listening' | 'fresh' | 'silent'
  /** A third peer dialled, not the helper. */
  other: boolean
  at: Instant
}

/** What helpers found out about whom the router lets in. */
export class FilterWords extends Remembered<FilterWord> {
  /** The newest word on one question replaces the older one of the same network. */
  add(helperIp: string, word: FilterWord): void {
    const network = networksOf(helperIp)?.narrow
    if (network === undefined) return
    this.put(`${network} ${word.door} ${word.other}`, word)
  }

  /**
   * Who got in was seen by this node itself and proves something; who did not is somebody's word. So one success decides, however
   * many deny it, and the helpers that lie would all have to lie.
   */
  behaviour(): Behaviour {
    const words = this.all()
    if (words.some(({ result }) => result === 'stranger')) return 'endpoint-independent'
    const strangersFail = words.some(
      ({ result, other, door }) => result === 'failed' && (other || door === 'silent'),
    )
    if (words.some(({ result }) => result === 'reached')) {
      return strangersFail ? 'address-dependent' : 'unknown'
    }
    return words.some(({ result, other }) => result === 'failed' && !other)
      ? 'address-and-port-dependent'
      : 'unknown'
  }
}
