/** The cells of the interop laboratory: who is where, written in what, and who relays for them. */
import { PLACE_KINDS, type PlaceKind } from '../lab/world.ts'

export type Maker = 'warren' | 'go'

/** One end of a cell. */
export interface End {
  maker: Maker
  place: PlaceKind
}

/** A connects to B through a relay, and both get a direct connection. */
export interface InteropCell {
  a: End
  b: End
  relay: Maker
}

const endName = ({ maker, place }: End): string => (maker === 'go' ? `go-${place}` : place)

export const cellName = ({ a, b, relay }: InteropCell): string =>
  `${endName(a)}×${endName(b)}${relay === 'go' ? '/go' : ''}`

function endOf(name: string): End | undefined {
  const maker = name.startsWith('go-') ? 'go' : 'warren'
  const place = PLACE_KINDS.find((kind) => kind === (maker === 'go' ? name.slice(3) : name))
  return place === undefined ? undefined : { maker, place }
}

/** Reads `port×go-port`, `go-cgnxshift`, or `port×port/go` where a go-libp2p relay serves. */
export function cellOf(name: string): InteropCell {
  const relay = name.endsWith('/go') ? 'go' : 'warren'
  const pair = relay === 'go' ? name.slice(0, -'/go'.length) : name
  // No kind has an x in its name.
  const [first = '', second = '', ...more] = pair.split(/[×x]/)
  const [a, b] = [endOf(first), endOf(second)]
  if (a !== undefined && b !== undefined && more.length === 0) return { a, b, relay }
  throw new Error(
    `there is no cell ${name}: name two of ${PLACE_KINDS.join(', ')}, each with go- before it or not, such as port×go-port; /go after them makes a go-libp2p relay serve`,
  )
}

/** Every NAT whose mapping does not depend on the endpoint, and with whom it is paired beside its own kind. */
const MIXED = [
  ['full', 'cgn'],
  ['addr', 'shift'],
  ['port', 'full'],
  ['port-rst', 'port'],
  ['shift', 'port-rst'],
  ['cgn', 'addr'],
] as const satisfies readonly (readonly [PlaceKind, PlaceKind])[]

function listed(): InteropCell[] {
  const cells: InteropCell[] = []
  for (const [own, other] of MIXED) {
    for (const place of [own, other]) {
      const warren: End = { maker: 'warren', place: own }
      const go: End = { maker: 'go', place }
      cells.push({ a: warren, b: go, relay: 'warren' }, { a: go, b: warren, relay: 'warren' })
    }
  }
  return [
    ...cells,
    ...['go-port×go-port', 'go-cgn×go-shift', 'go-port-rst×go-full'].map(cellOf),
    ...['port×port/go', 'cgn×shift/go', 'port×go-port/go', 'go-port×port/go'].map(cellOf),
  ]
}

/** What is played when no cell is named. */
export const CELLS: readonly InteropCell[] = listed()
