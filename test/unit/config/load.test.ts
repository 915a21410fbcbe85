import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { describeSettings, loadSettings } from '../../../src/config/load.ts'
import type { LoadInput } from '../../../src/config/load.ts'
import { envName, optionTable, optionsOf } from '../../../src/config/options.ts'

const PEER = '12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf'
let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'warren-config-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const load = (input: Partial<LoadInput>) =>
  loadSettings({ user: 'up', flags: { 'data-dir': dir }, env: {}, ...input })
const file = (text: string, name = 'config.yaml'): string => {
  writeFileSync(join(dir, name), text)
  return join(dir, name)
}
const refused =
  (message: RegExp, remedy: RegExp = /./) =>
  (error: Error & { code: string; remedy: string }) => {
    assert.equal(error.code, 'ERR_CONFIG_INVALID')
    assert.match(error.message, message)
    assert.match(error.remedy, remedy)
    return true
  }

test('a flag wins over the environment, that over the file, that over the default', async () => {
  file('network: from-file')
  const env = { WARREN_NETWORK: 'from-env' }
  const seen: [string | undefined, string | undefined][] = []
  const look = async (input: Partial<LoadInput>) => {
    const { settings, sources } = await load(input)
    seen.push([settings.network, sources.get('network')])
  }
  await look({ env, flags: { 'data-dir': dir, network: 'from-flag' } })
  await look({ env })
  await look({})
  rmSync(join(dir, 'config.yaml'))
  await look({})
  assert.deepEqual(seen, [
    ['from-flag', 'flag'],
    ['from-env', 'environment'],
    ['from-file', 'file'],
    ['main', 'default'],
  ])
})

test('every option has a flag, a variable and a key, and its example is a value that works', async () => {
  const awkward = new Set(['network-key', 'config', 'api-token', 'data-dir'])
  for (const { name, example } of optionTable.filter((row) => !awkward.has(row.name))) {
    const { sources } = await load({
      env: { WARREN_DATA_DIR: dir, [envName(name)]: example },
      flags: {},
    })
    assert.equal(sources.get(name), 'environment', name)
  }
})

test('an empty variable counts as unset', async () => {
  const { sources } = await load({ env: { WARREN_NETWORK: ' ' } })
  assert.equal(sources.get('network'), 'default')
})

test('values of a repeatable variable are separated by whitespace or commas', async () => {
  const { settings } = await load({
    env: {
      WARREN_LISTEN: '/ip4/0.0.0.0/tcp/1, /ip6/::/tcp/1\n/ip4/127.0.0.1/tcp/2',
      WARREN_EXPOSE: `web=127.0.0.1:80,allow=all,db=127.0.0.1:81,allow=${PEER} x=127.0.0.1:82,allow=all`,
    },
  })
  assert.deepEqual(settings.listen, ['/ip4/0.0.0.0/tcp/1', '/ip6/::/tcp/1', '/ip4/127.0.0.1/tcp/2'])
  assert.deepEqual(
    settings.expose?.map(({ name, allow }) => [name, allow]),
    [
      ['web', 'all'],
      ['db', [PEER]],
      ['x', 'all'],
    ],
  )
})

test('an unknown variable is refused and the nearest one is named', async () => {
  await assert.rejects(
    load({ env: { WARREN_BOOTSTRAPS: 'x' } }),
    refused(/WARREN_BOOTSTRAPS/, /WARREN_BOOTSTRAP\?/),
  )
})

test('variables that Kubernetes puts next to a service called warren are no mistakes', async () => {
  await load({
    env: {
      WARREN_SERVICE_HOST: '10.0.0.1',
      WARREN_SERVICE_PORT_API: '4080',
      WARREN_PORT: 'tcp://10.0.0.1:4001',
      WARREN_PORT_4001_TCP_ADDR: '10.0.0.1',
      WARREN_RELAY_SERVICE_HOST: '10.0.0.1',
    },
  })
  await assert.rejects(load({ env: { WARREN_PORT: '4001' } }), refused(/WARREN_PORT/))
})

test('an unknown key in the file is refused and the nearest one is named', async () => {
  file('bootstap: x')
  await assert.rejects(load({}), refused(/"bootstap"/, /bootstrap\?/))
})

test('a file that is no list of names and values is refused', async () => {
  for (const text of ['- a', 'text', 'a: [', 'a: 1\na: 2', '&a [*a]']) {
    file(text)
    await assert.rejects(load({}), refused(/config\.yaml/), text)
  }
  file('')
  await load({})
})

test('aliases that multiply cannot fill the memory', async () => {
  file('network: &a [x,x]\nlisten: [*a,*a]\n')
  await assert.rejects(load({}), refused(/aliases/, /Write/))
})

test('a named file must exist, the one in the data directory need not', async () => {
  await assert.rejects(
    load({ env: { WARREN_CONFIG: join(dir, 'none.yaml') } }),
    refused(/none\.yaml/),
  )
})

test('the file found through the data directory cannot move it, a named file can', async () => {
  file(`data-dir: ${dir}/other`)
  await assert.rejects(load({}), refused(/data-dir/))
  const named = file(`data-dir: ${dir}/other`, 'named.yaml')
  rmSync(join(dir, 'config.yaml'))
  const { settings } = await load({ flags: { config: named } })
  assert.equal(settings['data-dir'], `${dir}/other`)
})

test('a wrong value is refused in a sentence that says where it was said and what would work', async () => {
  const cases: [string, unknown, RegExp, RegExp][] = [
    ['bootstrap', ['/ip4/1.2.3.4/tcp/1'], /--bootstrap: .* which peer/, /\/p2p\//],
    ['bootstrap', [`/ip4/1.2.3.4/tcp/1/p2p/${PEER.slice(1)}`], /not a (multiaddr|peer id)/, /./],
    ['listen', ['4001'], /not a multiaddr/, /\/ip4\//],
    ['listen', ['/ip4/0.0.0.0/udp/4001'], /not a TCP address/, /tcp/],
    ['relay', 'maybe', /auto, on and off/, /auto/],
    ['port-mapping', 'maybe', /say on or off/, /on/],
    ['api', 'localhost', /not a place for the API/, /127\.0\.0\.1:4080/],
    ['api-token', 'short', /16 characters/, /openssl/],
    ['network', 'a b', /named by/, /main/],
    ['network-key', '/dev/null', /swarm\.key/, /base16/],
    ['network-key', '/nowhere', /cannot be read/, /permissions/],
    ['expose', ['web=127.0.0.1:80,allow=all', 'Web=127.0.0.1:80,allow=all'], /"Web"/, /48/],
    ['log-level', 'loud', /silent, error/, /info/],
    ['json', 'yes', /true or false/, /true/],
    ['api-host', ['http://x'], /not a host name/, /alone/],
  ]
  for (const [name, value, message, remedy] of cases)
    await assert.rejects(
      load({ flags: { 'data-dir': dir, [name]: value } }),
      refused(message, remedy),
      name,
    )
})

test('a value in the file may be a number, a text or a list, but no mapping', async () => {
  file('network: 7\nlisten: /ip4/0.0.0.0/tcp/1\njson: true')
  const { settings } = await load({})
  assert.deepEqual(
    [settings.network, settings.listen, settings.json],
    ['7', ['/ip4/0.0.0.0/tcp/1'], true],
  )
  file('network: {a: 1}')
  await assert.rejects(load({}), refused(/one value/))
})

const dirOf = async (home: string) =>
  (await loadSettings({ user: 'id', flags: {}, env: { XDG_STATE_HOME: home } })).settings[
    'data-dir'
  ]

test('a relative XDG_STATE_HOME is ignored', async () => {
  assert.equal(await dirOf('/state'), '/state/warren')
  assert.match(await dirOf('state'), /\.local\/state\/warren$/)
})

test('a client takes no options that only a node needs', async () => {
  const { settings } = await load({ user: 'client', env: { WARREN_BOOTSTRAP: 'nonsense' } })
  assert.deepEqual(
    Object.keys(settings).filter((name) => !optionsOf('client').some((row) => row.name === name)),
    [],
  )
})

test('a description of the settings keeps secrets to itself', async () => {
  const token = 'a-very-secret-token'
  const described = describeSettings(await load({ env: { WARREN_API_TOKEN: token } }))
  assert.equal(described['api-token'], '(secret) from environment')
  assert.ok(!JSON.stringify(described).includes(token))
})
