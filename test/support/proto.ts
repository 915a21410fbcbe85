import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { FieldType, Message } from '../../protocols/kernel/protobuf.ts'

/**
 * Holds message tables against the `.proto` file of their protocol: names, numbers, types and how often a field
 * may be repeated, messages inside messages included. Returns the names of the messages that were compared.
 */
export function holdAgainstProto(file: URL, tables: Record<string, Message<unknown>>): Set<string> {
  const proto = readFileSync(file, 'utf8')
  const compared = new Set<string>()
  const compare = (name: string, table: Message<unknown>): void => {
    if (compared.has(name)) return
    compared.add(name)
    const declared = fieldsOf(proto, name)
    assert.deepEqual(
      table.fields.map(({ name: field, number, most }) => ({ field, number, most })).sort(byNumber),
      declared.map(({ field, number, most }) => ({ field, number, most })),
      `fields of ${name}`,
    )
    for (const { field, type } of declared) {
      const ours = table.fields.find((one) => one.name === field)?.type as FieldType
      const where = `${name}.${field}`
      if (typeof ours === 'string') assert.equal(ours, type, where)
      else if ('fields' in ours) compare(type, ours)
      else assert.ok(areNamed(ours, valuesOf(proto, type)), where)
    }
  }
  for (const [name, table] of Object.entries(tables)) compare(name, table)
  return compared
}

/** The names of all messages that a `.proto` file declares. */
export function messagesIn(file: URL): Set<string> {
  const found = readFileSync(file, 'utf8').matchAll(/^message (\w+) /gm)
  return new Set([...found].map(([, name = '']) => name))
}

interface Declared {
  field: string
  number: number
  type: string
  most: number | undefined
}

const FIELD = /^\s+(repeated |optional )?(\w+) (\w+) = (\d+);(?: \/\/ at most (\d+)$)?/gm

function fieldsOf(proto: string, message: string): Declared[] {
  const fields = block(proto, 'message', message).matchAll(FIELD)
  return [...fields]
    .map(([, label, type = '', name = '', number, most]) => {
      assert.equal(label === 'repeated ', most !== undefined, `${message}.${name}: at most?`)
      const field = name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
      return { field, number: Number(number), type, most: most === undefined ? most : Number(most) }
    })
    .sort(byNumber)
}

/** Names in a `.proto` file may carry a prefix, as they must be unique in it: `NAT_NONE` is our `none`. */
function areNamed(ours: readonly string[], declared: string[]): boolean {
  const fits = (name: string, i: number) => `-${declared[i]}`.endsWith(`-${name}`)
  return ours.length === declared.length && ours.every(fits)
}

function valuesOf(proto: string, name: string): string[] {
  const values = [...block(proto, 'enum', name).matchAll(/^\s+(\w+) = (\d+);/gm)]
  assert.deepEqual(
    values.map(([, , number]) => Number(number)),
    [...values.keys()],
  )
  return values.map(([, value = '']) => value.toLowerCase().replaceAll('_', '-'))
}

function block(proto: string, kind: string, name: string): string {
  const body = new RegExp(`^${kind} ${name} \\{([\\s\\S]*?)^\\}`, 'm').exec(proto)?.[1]
  assert.ok(body !== undefined, `no ${kind} ${name} in the .proto file`)
  return body
}

function byNumber(a: { number: number }, b: { number: number }): number {
  return a.number - b.number
}
