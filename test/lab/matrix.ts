/** The cells of the laboratory, one a line, and what must come of each. */
import { cellName, type Cell } from './cell.ts'
import { PLACE_KINDS, type PlaceKind } from './world.ts'

const row = (a: PlaceKind, b: PlaceKind, expected: Cell['expected'], reason?: string): Cell => ({
  a,
  b,
  expected,
  ...(reason === undefined ? {} : { reason }),
})

export const MATRIX: readonly Cell[] = [
  row('full', 'port', 'direct'),
  row('port', 'port', 'direct'),
  row('addr', 'addr', 'direct'),
  row('shift', 'shift', 'direct'),
  row('port-rst', 'port-rst', 'direct'),
  row('cgn', 'port', 'direct'),
  row('double', 'port', 'direct'),
  row('full', 'full', 'direct'),
  row('sym', 'full', 'direct'),
  row('sym', 'addr', 'direct'),
  row('addr', 'sym', 'direct'),
  row('public', 'port', 'direct'),
  row('port', 'public', 'direct'),
  row('v6fw', 'v6fw', 'direct'),
  row(
    'sym',
    'sym',
    'relayed',
    'both map every destination to another random port: neither can know where to knock',
  ),
]

/** The cell of a name such as `port×port` or `portxport`; a pair that the matrix does not list is expected direct. */
export function cellOf(name: string): Cell {
  const listed = MATRIX.find((cell) => name === cellName(cell) || name === `${cell.a}x${cell.b}`)
  if (listed !== undefined) return listed
  for (const a of PLACE_KINDS) {
    const rest = ['×', 'x'].map((by) => `${a}${by}`).find((start) => name.startsWith(start))
    const b = PLACE_KINDS.find((kind) => rest !== undefined && name === rest + kind)
    if (b !== undefined) return row(a, b, 'direct')
  }
  throw new Error(
    `there is no cell ${name}: name two of ${PLACE_KINDS.join(', ')}, such as port×port`,
  )
}
