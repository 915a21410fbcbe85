import { parseAddress } from '../kernel/address.ts'
import type { ParsedAddress, Scope } from '../kernel/address.ts'

/** Addresses given out per relay: others try them all, so more would only cost them time. */
const MAX_PER_RELAY = 4

/** Addresses of a relay looked at; it could list any number. */
const MAX_LISTED = 64

/** The wider an address can be seen, the more peers it is of use to. */
const WIDTH: Record<Scope, number> = {
  unusable: 0,
  'link-local': 0,
  loopback: 1,
  private: 2,
  public: 3,
}

/**
 * The addresses under which peers find us behind a relay, widest first. Those that can be seen less far
 * than the one by which we reach the relay ourselves are of no use to anybody and left out.
 */
export function circuitAddresses(
  relay: string,
  self: string,
  reachedAt: string,
  listed: readonly string[],
): string[] {
  const ours = parseAddress(reachedAt)
  const width = ours === undefined ? WIDTH.public : WIDTH[ours.scope]
  const usable = [reachedAt, ...listed.slice(0, MAX_LISTED)].flatMap((text) => {
    const parsed = parseAddress(text)
    return parsed !== undefined && fits(parsed, relay, width) ? [parsed] : []
  })
  const texts = usable
    .sort((a, b) => WIDTH[b.scope] - WIDTH[a.scope])
    .map((address) => `${base(address)}/p2p/${relay}/p2p-circuit/p2p/${self}`)
  return [...new Set(texts)].slice(0, MAX_PER_RELAY)
}

function fits(address: ParsedAddress, relay: string, width: number): boolean {
  if (address.relayed || address.transport !== 'tcp') return false
  if (address.peer !== undefined && address.peer !== relay) return false
  return WIDTH[address.scope] > 0 && WIDTH[address.scope] >= width
}

function base({ family, host, port }: ParsedAddress): string {
  return `/${family}/${host}/tcp/${port}`
}
