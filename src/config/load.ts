import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { parseDocument } from 'yaml'
import type { z } from 'zod'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { nearest } from './nearest.ts'
import { envName, optionTable, optionsOf } from './options.ts'
import type { OptionName, OptionSpec, OptionUser, options, ValueKind } from './options.ts'
import type { overlayReaders } from './overlay-values.ts'
import { plainReaders } from './values.ts'

type AllReaders = typeof plainReaders & typeof overlayReaders
type Readers = Partial<Record<ValueKind, z.ZodType>>
type Row<Name extends OptionName> = Extract<(typeof options)[number], { name: Name }>
type Single<Name extends OptionName> = z.output<AllReaders[Row<Name>['kind']]>

/** The checked values, by option name. Repeatable ones are lists; what nobody set is absent. */
export type Settings = {
  [Name in OptionName]?: Row<Name> extends { repeatable: true } ? Single<Name>[] : Single<Name>
} & { 'data-dir': string; api: Single<'api'>; json: boolean }

export type Source = 'flag' | 'environment' | 'file' | 'default'

export interface Loaded {
  settings: Settings
  /** Where each value came from. */
  sources: ReadonlyMap<OptionName, Source>
}

export interface LoadInput {
  user: OptionUser
  /** Values of flags that were given, by option name. */
  flags: Readonly<Record<string, unknown>>
  env: Readonly<Record<string, string | undefined>>
}

/** Configuration files are a page of text; a larger one is something else given by mistake. */
const MAX_FILE_BYTES = 64 * 1024
const DEFAULTS: Readonly<Record<string, unknown>> = {
  network: 'main',
  relay: 'auto',
  'port-mapping': 'on',
  api: '127.0.0.1:4080',
  'log-level': 'info',
  json: false,
}

interface Raw {
  value: unknown
  source: Source
  /** The name the person used, for messages. */
  said: string
}

/** Collects the options of a command: flag before environment before file before default. */
export async function loadSettings(input: LoadInput): Promise<Loaded> {
  refuseUnknownEnvironment(input.env)
  const early = (name: OptionName): Raw | undefined => fromFlag(name, input) ?? fromEnv(name, input)
  const dataDir = early('data-dir') ?? fromDefault(defaultDataDir(input.env))
  const file = readConfigFile(early('config'), read(rowOf('data-dir'), dataDir) as string)
  const readers = await readersFor(input.user)

  const values = new Map<string, unknown>()
  const sources = new Map<OptionName, Source>()
  for (const row of optionsOf(input.user)) {
    const raw =
      early(row.name) ??
      fromFile(row.name, file) ??
      (row.name === 'data-dir' ? dataDir : fromDefault(DEFAULTS[row.name]))
    if (raw.value === undefined) continue
    values.set(row.name, row.repeatable ? readList(row, raw, readers) : read(row, raw, readers))
    sources.set(row.name, raw.source)
  }
  return { settings: Object.fromEntries(values) as Settings, sources }
}

/** Settings and where they came from, one line each, with secrets left out. */
export function describeSettings({ settings, sources }: Loaded): Record<string, string> {
  const lines: Record<string, string> = {}
  for (const [name, source] of sources) {
    const shown = rowOf(name).secret ? '(secret)' : JSON.stringify(settings[name])
    lines[name] = name === 'network-key' ? `(key) from ${source}` : `${shown} from ${source}`
  }
  return lines
}

async function readersFor(user: OptionUser): Promise<Readers> {
  if (user !== 'up' && user !== 'doctor') return plainReaders
  const { overlayReaders } = await import('./overlay-values.ts')
  return { ...plainReaders, ...overlayReaders }
}

function rowOf(name: OptionName): OptionSpec & { name: OptionName } {
  return optionTable.find((row) => row.name === name) as OptionSpec & { name: OptionName }
}

function defaultDataDir(env: LoadInput['env']): string {
  const stateHome = env.XDG_STATE_HOME ?? ''
  // The XDG specification: a relative path in these variables is to be ignored.
  return join(isAbsolute(stateHome) ? stateHome : join(homedir(), '.local', 'state'), 'warren')
}

function fromFlag(name: OptionName, { flags }: LoadInput): Raw | undefined {
  const value = flags[name]
  return value === undefined ? undefined : { value, source: 'flag', said: `--${name}` }
}

/** An empty variable counts as unset, because that is how compose files and shells leave one out. */
function fromEnv(name: OptionName, { env }: LoadInput): Raw | undefined {
  const said = envName(name)
  const value = env[said]?.trim()
  return value === undefined || value === '' ? undefined : { value, source: 'environment', said }
}

function fromFile(name: OptionName, file: ConfigFile | undefined): Raw | undefined {
  const value = file?.values[name]
  if (value === undefined || value === null) return undefined
  return { value, source: 'file', said: `${name} in ${file?.path}` }
}

const fromDefault = (value: unknown): Raw => ({ value, source: 'default', said: 'the default' })

/** Whitespace or commas separate values in a variable; a comma before `allow=` belongs to `expose`. */
function readList(row: OptionSpec, raw: Raw, readers: Readers): unknown[] {
  const items = Array.isArray(raw.value)
    ? raw.value
    : raw.source === 'environment'
      ? String(raw.value)
          .split(/\s*,\s*(?!allow=)|\s+/)
          .filter((item) => item !== '')
      : [raw.value]
  return items.map((value: unknown) => read(row, { ...raw, value }, readers))
}

/** Numbers are taken for text, because YAML reads `network: 7` and the like as numbers. */
function read(row: OptionSpec, raw: Raw, readers: Readers = plainReaders): unknown {
  const value = typeof raw.value === 'number' ? String(raw.value) : raw.value
  const reader = readers[row.kind]
  if (reader === undefined) throw new TypeError(`nothing reads ${row.kind} for this command`)
  const result = reader.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const remedy = (issue as { params?: { remedy?: string } } | undefined)?.params?.remedy
  const problem = typeof value === 'object' ? 'one value is wanted here' : issue?.message
  throw new WarrenError('ERR_CONFIG_INVALID', `${raw.said}: ${problem}`, {
    remedy: remedy ?? `A value that works: ${row.example}`,
    detail: { option: row.name, source: raw.source },
  })
}

/**
 * Kubernetes and Docker links put variables such as `WARREN_SERVICE_HOST` and `WARREN_PORT_4001_TCP` into
 * every container next to a service called `warren…`; nobody wrote those, so they are no mistakes.
 */
const INJECTED = /^WARREN_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP)(_\w+)?)$/
const isInjected = (name: string, value = ''): boolean =>
  INJECTED.test(name) || (name.endsWith('_PORT') && /^(tcp|udp):\/\//.test(value))

function refuseUnknownEnvironment(env: LoadInput['env']): void {
  const known = optionTable.map((row) => envName(row.name))
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('WARREN_') || known.includes(name) || isInjected(name, value)) continue
    throw new WarrenError('ERR_CONFIG_INVALID', `there is no environment variable ${name}`, {
      remedy: `Did you mean ${nearest(name, known)}? Unset ${name} if it is meant for something else.`,
    })
  }
}

interface ConfigFile {
  path: string
  values: Record<string, unknown>
}

function readConfigFile(named: Raw | undefined, dataDir: string): ConfigFile | undefined {
  const path =
    named === undefined ? join(dataDir, 'config.yaml') : (read(rowOf('config'), named) as string)
  const text = readText(path, named)
  if (text === undefined) return undefined
  const values = parseYaml(path, text)
  if (values === null) return { path, values: {} }
  if (typeof values !== 'object' || Array.isArray(values))
    throw fileError(path, 'it is not a list of "name: value" lines')
  refuseUnknownKeys(path, Object.keys(values), named !== undefined)
  return { path, values: values as Record<string, unknown> }
}

/** Aliases are refused, because a few lines of them can stand for gigabytes. */
function parseYaml(path: string, text: string): unknown {
  const document = parseDocument(text)
  const [error] = document.errors
  if (error !== undefined) throw fileError(path, error.message.split('\n')[0] ?? 'it is not YAML')
  try {
    return document.toJS({ maxAliasCount: 0 })
  } catch {
    throw fileError(path, 'it uses aliases (*name)', 'Write the values out.')
  }
}

function readText(path: string, named: Raw | undefined): string | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (named === undefined && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined
    throw new WarrenError('ERR_CONFIG_INVALID', `the configuration cannot be read: ${message}`, {
      remedy: 'Check the path and its permissions.',
      cause: error,
    })
  }
  if (text.length > MAX_FILE_BYTES)
    throw fileError(path, `it is larger than ${MAX_FILE_BYTES} bytes`)
  return text
}

/** The file in the data directory cannot say where the data directory is. */
function refuseUnknownKeys(path: string, keys: string[], named: boolean): void {
  const known = optionTable
    .filter((row) => !row.notInFile && (named || row.name !== 'data-dir'))
    .map((row) => row.name)
  const unknown = keys.find((key) => !(known as string[]).includes(key))
  if (unknown === undefined) return
  if (unknown === 'data-dir')
    throw fileError(
      path,
      'data-dir cannot be set by the file that was found through it',
      'Use --config, --data-dir or WARREN_DATA_DIR.',
    )
  throw fileError(
    path,
    `there is no option "${unknown}"`,
    `Did you mean ${nearest(unknown, known)}?`,
  )
}

function fileError(path: string, problem: string, remedy?: string): WarrenError {
  return new WarrenError('ERR_CONFIG_INVALID', `${path}: ${problem}`, {
    remedy:
      remedy ?? 'See `warren up --help` for the options; a file says `name: value`, one a line.',
  })
}
