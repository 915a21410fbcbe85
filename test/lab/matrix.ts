/** The cells of the laboratory. What must come of each follows from the kinds, see `expectation.ts`. */
import { cellName, type Cell } from './cell.ts'
import { expectationOf, isSymmetricPlace } from './expectation.ts'
import { NAT_KINDS } from './nat-kinds.ts'
import { PLACE_KINDS, type PlaceKind } from './world.ts'

const cell = (a: PlaceKind, b: PlaceKind): Cell => ({ a, b, ...expectationOf(a, b) })

/** Every pair of NATs once, and both ways round where the two sides have different parts to play. */
function natCells(): Cell[] {
  const kinds = NAT_KINDS.filter((kind) => kind !== 'v6fw')
  return kinds.flatMap((a, index) =>
    kinds.flatMap((b, other) =>
      other >= index || isSymmetricPlace(a) !== isSymmetricPlace(b) || isOtherSymmetry(a, b)
        ? [cell(a, b)]
        : [],
    ),
  )
}

const isOtherSymmetry = (a: PlaceKind, b: PlaceKind): boolean =>
  a !== b && isSymmetricPlace(a) && isSymmetricPlace(b)

/** The whole matrix; cells that need IPv6 come last, because they need an internet of their own. */
export const MATRIX: readonly Cell[] = [
  ...natCells(),
  ...NAT_KINDS.filter((kind) => kind !== 'v6fw').flatMap((kind) => [
    cell('public', kind),
    cell(kind, 'public'),
  ]),
  cell('port', 'same'),
  cell('port', 'same-hairpin'),
  cell('sym', 'same'),
  cell('public', 'v6fw'),
  cell('v6fw', 'public'),
  cell('v6fw', 'v6fw'),
]

/** Cells that a run without options plays: one for each way to a path. */
export const SHORT: readonly Cell[] = [
  cell('port', 'port'),
  cell('full', 'port'),
  cell('addr', 'addr'),
  cell('shift', 'shift'),
  cell('port-rst', 'port-rst'),
  cell('cgn', 'port'),
  cell('sym', 'addr'),
  cell('sym', 'port'),
  cell('port', 'sym'),
  cell('port', 'same'),
  cell('public', 'port'),
  cell('port', 'public'),
  cell('v6fw', 'v6fw'),
  cell('sym', 'sym'),
]

/** The cell of a name such as `port×port` or `portxport`: any pair of places there is. */
export function cellOf(name: string): Cell {
  for (const a of PLACE_KINDS) {
    const start = ['×', 'x'].map((by) => `${a}${by}`).find((text) => name.startsWith(text))
    const b = PLACE_KINDS.find((kind) => start !== undefined && name === start + kind)
    if (b !== undefined) return cell(a, b)
  }
  throw new Error(
    `there is no cell ${name}: name two of ${PLACE_KINDS.join(', ')}, such as port×port`,
  )
}

/** Those cells of the matrix both of whose places are among these. */
export function cellsAmong(kinds: readonly string[]): Cell[] {
  const unknown = kinds.find((kind) => !(PLACE_KINDS as readonly string[]).includes(kind))
  if (unknown !== undefined)
    throw new Error(`there is no kind ${unknown}: there are ${PLACE_KINDS.join(', ')}`)
  const cells = MATRIX.filter(({ a, b }) => kinds.includes(a) && kinds.includes(b))
  if (cells.length === 0) throw new Error(`the matrix has no cell among ${kinds.join(', ')} alone`)
  return cells
}

/** Whether a cell needs machines with IPv6. */
export const needsIPv6 = ({ a, b }: Pick<Cell, 'a' | 'b'>): boolean => a === 'v6fw' || b === 'v6fw'

/** Cells in which Warren is compared with others: one for each way a NAT can behave, and symmetric ones in every part. */
export const COMPARED: readonly Cell[] = [
  cell('full', 'port'),
  cell('port', 'port'),
  cell('addr', 'addr'),
  cell('shift', 'shift'),
  cell('port-rst', 'port-rst'),
  cell('cgn', 'port'),
  cell('sym', 'addr'),
  cell('sym', 'port'),
  cell('port', 'sym'),
  cell('sym', 'sym'),
]

/** The names of cells, for help texts. */
export const namesOf = (cells: readonly Cell[]): string => cells.map(cellName).join(', ')
