import type { FieldFacts, FieldType } from '../../../../protocols/kernel/protobuf.ts'
import { FrameMessage } from '../../../../protocols/peer-exchange/messages.ts'
import type { Frame } from '../../../../protocols/peer-exchange/messages.ts'

/** How many bytes a field takes, its tag included. */
type Size = (value: never) => number
type Body = readonly (readonly [name: string, size: Size])[]

/** Made of the very tables that encode, so that it stays exact when they change. */
const bodies = new Map<string, { tag: number; body: Body }>(
  FrameMessage.fields.map(({ name, number, type }) => [
    name,
    { tag: tagSize(number), body: bodyOf(type) },
  ]),
)

/** The bytes of a frame on its stream, length prefix included, without encoding it. */
export function frameSize(frame: Frame): number {
  const known = bodies.get(frame.type)
  if (known === undefined) throw new Error(`no frame: ${frame.type}`)
  const inner = sizeOf(known.body, frame as unknown as Record<string, never>)
  const whole = known.tag + varintSize(inner) + inner
  return varintSize(whole) + whole
}

function bodyOf(type: FieldType): Body {
  if (!isMessage(type)) throw new Error('a frame holds messages only')
  return type.fields.map((field) => [field.name, fieldSize(field)] as const)
}

function sizeOf(body: Body, value: Record<string, never>): number {
  let sum = 0
  for (let i = 0; i < body.length; i++) {
    const field = body[i] as Body[number]
    const inside = value[field[0]]
    if (inside !== undefined) sum += field[1](inside)
  }
  return sum
}

function fieldSize({ number, type, most }: FieldFacts): Size {
  const tag = tagSize(number)
  if (most === undefined) return singleSize(tag, type)
  if (type === 'fixed64') return packedSize(tag, (values) => 8 * values.length)
  if (type === 'uint32' || type === 'uint64') return packedSize(tag, varintsSize)
  const content = contentSize(type)
  return (values: never[]) => {
    let sum = 0
    for (let i = 0; i < values.length; i++) {
      const size = content(values[i] as never)
      sum += tag + varintSize(size) + size
    }
    return sum
  }
}

function singleSize(tag: number, type: FieldType): Size {
  if (type === 'bool') return (value: boolean) => (value ? tag + 1 : 0)
  if (type === 'fixed64') return (value: bigint) => (value === 0n ? 0 : tag + 8)
  if (type === 'uint32' || type === 'uint64') {
    return (value: number) => (value === 0 ? 0 : tag + varintSize(value))
  }
  if (Array.isArray(type)) {
    return (name: string) => (name === type[0] ? 0 : tag + varintSize(type.indexOf(name)))
  }
  const content = contentSize(type)
  const leftOut = isMessage(type) ? -1 : 0 // an empty message is written, an empty text is not
  return (value: never) => {
    const size = content(value)
    return size === leftOut ? 0 : tag + varintSize(size) + size
  }
}

function packedSize(tag: number, content: (values: number[]) => number) {
  return (values: number[]): number => {
    if (values.length === 0) return 0
    const size = content(values)
    return tag + varintSize(size) + size
  }
}

function varintsSize(values: number[]): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += varintSize(values[i] as number)
  return sum
}

/** Of what stands behind tag and length. */
function contentSize(type: FieldType): Size {
  if (type === 'bytes') return (value: Uint8Array) => value.length
  if (type === 'string') return (value: string) => Buffer.byteLength(value)
  const body = bodyOf(type)
  return (value: never) => sizeOf(body, value)
}

function isMessage(type: FieldType): type is Extract<FieldType, { encode: unknown }> {
  return typeof type === 'object' && 'encode' in type
}

function tagSize(number: number): number {
  return varintSize(number * 8)
}

function varintSize(value: number): number {
  let size = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++
  return size
}
