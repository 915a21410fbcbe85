import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  NAT_KINDS,
  NAT_TRAITS,
  routerRules,
  SHIFT,
  EPHEMERAL,
  traitsOf,
  type BasicKind,
} from '../../lab/nat-kinds.ts'

const EXTERNAL = '62.20.1.10'
const rulesOf = (kind: BasicKind, hairpin = false) =>
  routerRules({ kind, external: EXTERNAL, hairpin, onInternet: true })
const lineWith = (rules: string, ...parts: string[]) =>
  rules.split('\n').find((line) => parts.every((part) => line.includes(part)))

describe('rules of a NAT kind', () => {
  it('let strangers in only where filtering is endpoint-independent', () => {
    for (const kind of Object.keys(NAT_TRAITS) as BasicKind[]) {
      const translated = lineWith(rulesOf(kind), 'iifname "wan"', 'dnat ip to')
      const { filtering } = NAT_TRAITS[kind]
      assert.equal(translated !== undefined, filtering !== 'address-and-port-dependent', kind)
      if (translated !== undefined) {
        assert.equal(translated.includes('@contacted'), filtering === 'address-dependent', kind)
      }
    }
  })

  it('answer strangers with RST only for port-rst', () => {
    const answering = (Object.keys(NAT_TRAITS) as BasicKind[]).filter((kind) =>
      rulesOf(kind).includes('tcp reset'),
    )
    assert.deepEqual(answering, ['port-rst'])
  })

  it('turn packets around inside only when hairpin is on', () => {
    assert.equal(lineWith(rulesOf('port', false), 'iifname "lan"', 'dnat'), undefined)
    assert.ok(lineWith(rulesOf('port', true), 'iifname "lan"', 'dnat'))
    assert.ok(lineWith(rulesOf('port', true), 'oifname "lan"', `snat ip to ${EXTERNAL}`))
  })

  it('keep private addresses off the internet, and only off the internet', () => {
    const inside = routerRules({
      kind: 'port',
      external: '100.64.0.2',
      hairpin: false,
      onInternet: false,
    })
    assert.ok(lineWith(rulesOf('port'), 'oifname "wan"', '10.0.0.0/8', 'drop'))
    assert.equal(lineWith(inside, '10.0.0.0/8'), undefined)
  })

  it('shift every ephemeral port to a port that exists', () => {
    const [first = 0, last = 0] = EPHEMERAL.split(' ').map(Number)
    assert.ok(first >= SHIFT.first && last <= SHIFT.last && SHIFT.last + SHIFT.by <= 65_535)
    assert.ok(rulesOf('shift').includes(`4001:${4001 + SHIFT.by},`))
  })
})

describe('traits of a NAT kind', () => {
  it('exist for every kind that translates', () => {
    for (const kind of NAT_KINDS) assert.equal(traitsOf(kind) === null, kind === 'v6fw', kind)
  })

  it('of two routers in a row are those of the inner one', () => {
    assert.deepEqual(traitsOf('cgn'), NAT_TRAITS.port)
  })
})
