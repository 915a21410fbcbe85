/**
 * The one table of options. Flags, environment variables, file keys, help, documentation and validation
 * are all derived from it; nothing else in the house knows an option's name.
 */

/**
 * Commands that take options from the table: `up` runs a node, `client` is every command that asks one, `doctor` asks one or runs
 * one for a moment.
 */
export type OptionUser = 'up' | 'client' | 'doctor' | 'id'

/** How a value is read: `src/config/values.ts` has one reader for each. */
export type ValueKind =
  | 'directory'
  | 'file'
  | 'listen'
  | 'announce'
  | 'bootstrap'
  | 'network'
  | 'network-key'
  | 'relay'
  | 'on-off'
  | 'api'
  | 'token'
  | 'host-name'
  | 'expose'
  | 'forward'
  | 'log-level'
  | 'switch'

export interface OptionSpec {
  /** The flag without dashes and the key in the file. */
  name: string
  kind: ValueKind
  /** What stands for the value in help, e.g. `MA`; a switch has none. */
  placeholder?: string
  repeatable?: true
  users: readonly OptionUser[]
  doc: string
  /** The default in words, for help and documentation. */
  default?: string
  /** A value that works, shown where one did not. */
  example: string
  /** Never shown with its value. */
  secret?: true
  /** Says where the file is, so it cannot be said in the file. */
  notInFile?: true
}

export const options = [
  {
    name: 'data-dir',
    kind: 'directory',
    placeholder: 'DIR',
    users: ['up', 'client', 'doctor', 'id'],
    doc: 'where identity and peer book live',
    default: '$XDG_STATE_HOME/warren, or ~/.local/state/warren',
    example: '/var/lib/warren',
  },
  {
    name: 'listen',
    kind: 'listen',
    placeholder: 'MA',
    repeatable: true,
    users: ['up', 'doctor'],
    doc: 'multiaddr to listen on',
    default: 'TCP port 4001 on all IPv4 and IPv6 addresses',
    example: '/ip4/0.0.0.0/tcp/4001',
  },
  {
    name: 'announce',
    kind: 'announce',
    placeholder: 'MA',
    repeatable: true,
    users: ['up', 'doctor'],
    doc: 'multiaddr to announce to others, instead of what is found out',
    example: '/ip4/203.0.113.7/tcp/4001',
  },
  {
    name: 'bootstrap',
    kind: 'bootstrap',
    placeholder: 'MA',
    repeatable: true,
    users: ['up', 'doctor'],
    doc: 'member to join through, with its peer id',
    example: '/ip4/203.0.113.7/tcp/4001/p2p/12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf',
  },
  {
    name: 'network',
    kind: 'network',
    placeholder: 'NAME',
    users: ['up', 'doctor'],
    doc: 'overlay to be a member of; only members of the same one exchange peers',
    default: 'main',
    example: 'main',
  },
  {
    name: 'network-key',
    kind: 'network-key',
    placeholder: 'FILE',
    users: ['up', 'doctor'],
    doc: 'pre-shared key in swarm.key format; only holders of the key can connect',
    example: '/etc/warren/swarm.key',
  },
  {
    name: 'relay',
    kind: 'relay',
    placeholder: 'auto|on|off',
    users: ['up'],
    doc: 'relay for others: when public, always, never',
    default: 'auto',
    example: 'auto',
  },
  {
    name: 'port-mapping',
    kind: 'on-off',
    placeholder: 'on|off',
    users: ['up', 'doctor'],
    doc: 'ask the router to open the listening port, by PCP, NAT-PMP or UPnP',
    default: 'on',
    example: 'on',
  },
  {
    name: 'api',
    kind: 'api',
    placeholder: 'ADDR',
    users: ['up', 'client', 'doctor'],
    doc: 'where the HTTP API is: HOST:PORT, unix:PATH or off',
    default: '127.0.0.1:4080',
    example: '127.0.0.1:4080',
  },
  {
    name: 'api-token',
    kind: 'token',
    placeholder: 'TOKEN',
    users: ['up', 'client', 'doctor'],
    doc: 'secret that API requests must carry; demanded when the API is not on loopback',
    example: 'the output of: openssl rand -hex 24',
    secret: true,
  },
  {
    name: 'api-host',
    kind: 'host-name',
    placeholder: 'NAME',
    repeatable: true,
    users: ['up'],
    doc: 'further host name under which the API is asked, e.g. behind a proxy',
    example: 'warren.example.org',
  },
  {
    name: 'expose',
    kind: 'expose',
    placeholder: 'SPEC',
    repeatable: true,
    users: ['up'],
    doc: 'share a TCP service: NAME=HOST:PORT,allow=all or ,allow=PEER+PEER',
    example: 'web=127.0.0.1:8080,allow=all',
  },
  {
    name: 'forward',
    kind: 'forward',
    placeholder: 'SPEC',
    repeatable: true,
    users: ['up'],
    doc: "use a peer's service: [HOST:]PORT=PEER/NAME",
    example: '8080=12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf/web',
  },
  {
    name: 'log-level',
    kind: 'log-level',
    placeholder: 'LEVEL',
    users: ['up'],
    doc: 'error, warn, info, debug, trace or silent; the log goes to stderr',
    default: 'info',
    example: 'info',
  },
  {
    name: 'json',
    kind: 'switch',
    users: ['up', 'client', 'doctor', 'id'],
    doc: 'print JSON instead of text',
    default: 'off',
    example: 'true',
  },
  {
    name: 'config',
    kind: 'file',
    placeholder: 'FILE',
    users: ['up', 'client', 'doctor', 'id'],
    doc: 'configuration file (YAML)',
    default: '<data-dir>/config.yaml, if it exists',
    example: '/etc/warren/config.yaml',
    notInFile: true,
  },
] as const satisfies readonly OptionSpec[]

export type OptionName = (typeof options)[number]['name']

/** Every row, seen as the general type. */
export const optionTable: readonly (OptionSpec & { name: OptionName })[] = options

/** The environment variable of an option: `data-dir` is `WARREN_DATA_DIR`. */
export function envName(name: string): string {
  return `WARREN_${name.toUpperCase().replaceAll('-', '_')}`
}

/** The options a kind of command takes. */
export function optionsOf(user: OptionUser): readonly (OptionSpec & { name: OptionName })[] {
  return optionTable.filter((option) => option.users.includes(user))
}
