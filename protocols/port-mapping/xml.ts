import { PORT_MAPPING_LIMITS } from './limits.ts'

/** An element without its namespace prefix and attributes, which nothing here needs. */
export interface XmlElement {
  name: string
  /** Its own text, in one piece. */
  text: string
  children: XmlElement[]
}

const CDATA = '<![CDATA['

/**
 * Reads what gateways send: elements, text, comments, CDATA. Not XML in full, on purpose: declarations, and with them
 * entities that grow or fetch something, are refused. Undefined for anything malformed or too large.
 */
export function readXml(source: string): XmlElement | undefined {
  if (source.length > PORT_MAPPING_LIMITS.maxBodyBytes) return undefined
  const outside: XmlElement = { name: '', text: '', children: [] }
  const open = [outside]
  let elements = 0
  let at = 0
  while (at < source.length) {
    const current = open.at(-1) as XmlElement
    const tag = source.indexOf('<', at)
    current.text += unescaped(source.slice(at, tag === -1 ? source.length : tag))
    if (tag === -1) break
    const piece = readPiece(source, tag)
    if (piece === undefined) return undefined
    at = piece.end
    if (piece.type === 'text') current.text += piece.text
    if (piece.type === 'close' && (open.length === 1 || open.pop()?.name !== piece.name))
      return undefined
    if (piece.type !== 'open') continue
    const element: XmlElement = { name: piece.name, text: '', children: [] }
    current.children.push(element)
    if (++elements > PORT_MAPPING_LIMITS.maxElements) return undefined
    if (!piece.empty) open.push(element)
    if (open.length > PORT_MAPPING_LIMITS.maxDepth) return undefined
  }
  const [root, ...more] = outside.children
  return open.length === 1 && more.length === 0 ? root : undefined
}

/** Every element of this name below (and at) the given one, in the order of the document. */
export function elementsNamed(element: XmlElement, name: string): XmlElement[] {
  const below = element.children.flatMap((child) => elementsNamed(child, name))
  return element.name === name ? [element, ...below] : below
}

/** The text of the first element of this name; undefined when there is none. */
export function textOf(element: XmlElement, name: string): string | undefined {
  return elementsNamed(element, name)[0]?.text.trim()
}

type Piece = { end: number } & (
  | { type: 'open'; name: string; empty: boolean }
  | { type: 'close'; name: string }
  | { type: 'text'; text: string }
)

/** What starts at this `<`. */
function readPiece(source: string, at: number): Piece | undefined {
  if (source.startsWith('<!--', at)) return skipTo(source, '-->', at + 4)
  if (source.startsWith('<?', at)) return skipTo(source, '?>', at + 2)
  if (source.startsWith(CDATA, at)) {
    const end = source.indexOf(']]>', at)
    const text = source.slice(at + CDATA.length, end)
    return end === -1 ? undefined : { type: 'text', text, end: end + 3 }
  }
  if (source.startsWith('<!', at)) return undefined
  const end = endOfTag(source, at)
  if (end === undefined) return undefined
  const closes = source[at + 1] === '/'
  const inside = source.slice(at + (closes ? 2 : 1), end)
  const name = localName(inside)
  if (name === undefined) return undefined
  if (closes) return { type: 'close', name, end: end + 1 }
  return { type: 'open', name, empty: inside.endsWith('/'), end: end + 1 }
}

function skipTo(source: string, mark: string, from: number): Piece | undefined {
  const end = source.indexOf(mark, from)
  return end === -1 ? undefined : { type: 'text', text: '', end: end + mark.length }
}

/** The `>` that ends a tag; one inside an attribute's quotes does not. */
function endOfTag(source: string, from: number): number | undefined {
  let quote = ''
  for (let at = from + 1; at < source.length; at++) {
    const char = source[at] as string
    if (quote !== '') quote = char === quote ? '' : quote
    else if (char === '"' || char === "'") quote = char
    else if (char === '>') return at
    else if (char === '<') return undefined
  }
  return undefined
}

function localName(inside: string): string | undefined {
  return /^(?:[\w.-]{1,64}:)?([\w.-]{1,64})(?=[\s/]|$)/.exec(inside)?.[1]
}

const NAMED: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

function unescaped(text: string): string {
  return text.replace(
    /&(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#x([0-9a-f]{1,6}));/gi,
    (all, ...found) => {
      const [name, decimal, hex] = found as (string | undefined)[]
      if (name !== undefined) return NAMED[name.toLowerCase()] ?? all
      const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
      return code <= 0x10ffff ? String.fromCodePoint(code) : all
    },
  )
}
