import type { Tick } from '../kernel/machine.ts'
import type { Endpoint } from './types.ts'
import type { FilterWord } from './filtering.ts'
import type { SaidMapping } from './mapped-port.ts'
import type { Observation } from './observed-addresses.ts'
import type { Sample } from './samples.ts'

/** What happened that says something about where this node can be reached. */
export type ReachabilityInput =
  | Tick
  /** Addresses of this host with the port that is listened on there (wildcards expanded). */
  | { type: 'interfaces'; addresses: Endpoint[] }
  /** A peer told us what it sees of a connection that left from a listening port. */
  | ({ type: 'observed' } & Omit<Observation, 'at' | 'goneAt'>)
  | { type: 'observation-gone'; connection: string }
  /**
   * Somebody connected to us. `dialledBefore`: we dialled or punched towards that IP address within
   * the last minutes, so a NAT may have let it in for that reason. `via`: the address it dialled.
   */
  | { type: 'inbound'; remoteIp: string; localIp: string; dialledBefore: boolean; via?: Endpoint }
  /**
   * Somebody tried to connect back to one of our addresses. `independent`: from an IP address that
   * we were not in contact with; AutoNAT v2 alone never is.
   */
  | { type: 'dial-back'; ip: string; port: number; ok: boolean; byIp: string; independent: boolean }
  /** How a helper saw connections of ours to two of its ports, and from new ports of ours. */
  | ({ type: 'sampled'; byIp: string } & Omit<Sample, 'at'>)
  /**
   * What came of a dial-back that a helper was asked for: by itself from another port, or by an`other` peer. What somebody
   * `reached` this node has seen itself, `from` where; who `failed` is the helper's word.
   */
  | {
      type: 'probed'
      byIp: string
      trusted: boolean
      door: FilterWord['door'] | 'mapped'
      other: boolean
      result: FilterWord['result']
      from?: string
      /** The outside port of a mapped door. */
      port?: number
    }
  /** The external IPv4 port that our router maps to us, and what it says its address is; undefined when it maps none. */
  | { type: 'mapped'; at: SaidMapping | undefined }
  /** Whether our router's IPv6 firewall has been opened for us; told when that changes. */
  | { type: 'pinhole'; open: boolean }
  /** Addresses the operator wants announced; empty for none. */
  | { type: 'configured'; announce: string[] }
