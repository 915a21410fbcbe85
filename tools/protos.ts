/**
 * Generates `<name>.pb.ts` beside every `.proto` file given, or beside all under `protocols/`.
 *
 *   node tools/protos.ts [file.proto…]
 *
 * protons writes namespaces and enums, which Node cannot run by stripping types. This turns each into
 * an object of the same name, so callers see no difference, and leaves out the streaming decoders,
 * which nobody here uses.
 */
import { execFileSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

const root = join(import.meta.dirname, '..')

function erasable(source: string): string {
  return (
    source
      .replaceAll(/^export namespace (\w+) \{\n([\s\S]*?)^\}\n/gm, (_, name, body) =>
        asObject(name, body),
      )
      .replaceAll(/^(export )?enum (\w+) \{\n([\s\S]*?)^\}\n/gm, (_, exported, name, body) =>
        asConstants(exported !== undefined, name, body),
      )
      .replace(', streamMessage', '')
      // protons 9 writes for runtime 7, whose codecs had one type for what goes in and what comes out.
      .replaceAll(/\b(Codec|message)<(\w+)>/g, '$1<$2, $2>')
  )
}

function asObject(name: string, body: string): string {
  const codec = `codecOf${name}`
  const members = body
    .replace(/^ {2}let _codec: .*\n\n/m, '')
    .replaceAll('_codec', codec)
    .replaceAll(/^ {2}export interface \w+ \{\n[\s\S]*?^ {2}\}\n\n/gm, '')
    .replaceAll(/\n?^ {2}export function stream [\s\S]*?^ {2}\}\n/gm, '')
    .replaceAll(
      /, function \* \(reader, length, prefix, opts = \{\}\) \{\n[\s\S]*?^ {6}\}\)\n/gm,
      ', noStreaming)\n',
    )
    .replace(/^ {2}export const codec = /m, '  codec: ')
    .replaceAll(/^ {2}export function /gm, '  ')
    .replaceAll(/^ {2}\}$/gm, '  },')
  // An enum's codec keeps no state of its own.
  const state = body.includes('let _codec') ? `let ${codec}: Codec<${name}>\n\n` : ''
  return `${state}export const ${name} = {\n${members}}\n`
}

function asConstants(exported: boolean, name: string, body: string): string {
  const members = body.replaceAll(/ = /g, ': ')
  if (!exported) return `const ${name} = {\n${members}}\n`
  return `export type ${name} = (typeof ${name}Values)[keyof typeof ${name}Values]\n\nconst ${name}Values = {\n${members}} as const\n`
}

// Its types are right at the edge; inside it is not written for exactOptionalPropertyTypes.
const heading = (proto: string): string =>
  `// Generated from ${basename(proto)} by tools/protos.ts.\n// @ts-nocheck`

const NO_STREAMING = `
// protons asks for a streaming decoder too.
function * noStreaming (): Generator<never> {
  throw new Error('streaming decoders are not generated')
}
`

function generate(proto: string): void {
  const scratch = mkdtempSync(join(tmpdir(), 'warren-protos-'))
  try {
    execFileSync(join(root, 'node_modules/.bin/protons'), ['--output', scratch, proto], {
      cwd: root,
    })
    const [written] = globSync(join(scratch, '**/*.ts'))
    if (written === undefined) throw new Error(`protons wrote nothing for ${proto}`)
    const output = proto.replace(/\.proto$/, '.pb.ts')
    const lines = erasable(readFileSync(written, 'utf8')).split('\n')
    const afterImports = lines.findLastIndex((line) => line.startsWith('import ')) + 1
    lines.splice(afterImports, 0, NO_STREAMING.trimEnd())
    writeFileSync(output, `${heading(proto)}\n${lines.join('\n')}`)
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

const named = process.argv.slice(2)
for (const proto of named.length > 0 ? named : globSync('protocols/**/*.proto', { cwd: root })) {
  generate(join(root, proto))
  console.log(proto.replace(/\.proto$/, '.pb.ts'))
}
