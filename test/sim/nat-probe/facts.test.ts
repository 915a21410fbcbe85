import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Traits } from './router.ts'
import { World } from './world.ts'
import type { HelperSpec, Nature } from './world.ts'

const EI = 'endpoint-independent'
const AD = 'address-dependent'
const APD = 'address-and-port-dependent'

const trait = (
  mapping: Traits['mapping'],
  filtering: Traits['filtering'],
  ports: Traits['ports'],
  rest: Partial<Traits> = {},
): Traits => ({ mapping, filtering, ports, ...rest })

/** The laboratory's kinds, and some that it does not have. */
const ROUTERS: Record<string, Traits> = {
  full: trait(EI, EI, 'preserved'),
  addr: trait(EI, AD, 'preserved'),
  port: trait(EI, APD, 'preserved'),
  'port-rst': trait(EI, APD, 'preserved', { unsolicited: 'refused' }),
  shift: trait(EI, APD, 'shifted'),
  sym: trait(APD, APD, 'random'),
  'sym-seq': trait(APD, APD, 'sequential'),
  'full, shifted': trait(EI, EI, 'shifted'),
  'addr, shifted': trait(EI, AD, 'shifted'),
  'port, random': trait(EI, APD, 'random'),
  'port, sequential': trait(EI, APD, 'sequential'),
}

const expected = ({ mapping, filtering, ports }: Traits): string =>
  `${filtering === EI ? 'public' : 'private'}, ${mapping}, ${filtering}, ${ports}`

/** What the issue asks for. */
const limitFor = (helpers: number): number => (helpers === 1 ? 20_000 : 10_000)

const honest = (count: number): HelperSpec[] =>
  Array.from({ length: count }, (_, i) => ({ trusted: i === 0 }))

const SEEDS = [1, 2, 3, 4, 5]

for (const [name, router] of Object.entries(ROUTERS)) {
  for (const count of [1, 2, 4, 9]) {
    test(`${name}: all facts are right with ${count} helpers, in time, and stay so`, () => {
      for (const seed of SEEDS) {
        const world = new World({ router, helpers: honest(count), seed })
        const ms = world.until(expected(router), 60_000)
        assert.ok(ms !== undefined, `${world.facts} with seed ${seed}`)
        assert.ok(ms <= limitFor(count), `${ms} ms`)
        world.run(60 * 60_000)
        assert.equal(world.facts, expected(router), 'an hour later')
      }
    })
  }
}

test('a public node and one behind a firewall know it with one helper', () => {
  for (const count of [1, 2, 4]) {
    const open = new World({ helpers: honest(count), seed: count })
    assert.ok((open.until('public, none, none, preserved', 20_000) ?? Infinity) < 2_000)
    const closed = new World({ firewalled: true, helpers: honest(count), seed: count })
    const ms = closed.until(`private, none, ${APD}, preserved`, 20_000)
    assert.ok(ms !== undefined && ms < limitFor(count), `${closed.facts} after ${ms} ms`)
  }
})

const LIARS: Nature[] = ['denier', 'boaster', 'painter', 'cheat', 'mute']

for (const nature of LIARS) {
  test(`helpers of which a minority is a ${nature} come to the same facts`, () => {
    for (const [name, router] of Object.entries(ROUTERS)) {
      for (const [liars, all] of [
        [1, 3],
        [1, 4],
        [2, 5],
      ] as const) {
        for (const seed of SEEDS) {
          const helpers = Array.from({ length: all }, (_, i): HelperSpec =>
            i < liars ? { nature } : {},
          )
          const world = new World({ router, helpers, seed })
          world.run(20_000)
          const about = `${name}, ${liars} of ${all}, seed ${seed}`
          assert.equal(world.facts, expected(router), about)
        }
      }
    }
  })
}

test('a lying bootstrap among four is outvoted as well', () => {
  for (const nature of LIARS) {
    for (const [name, router] of Object.entries(ROUTERS)) {
      const helpers: HelperSpec[] = [{ nature, trusted: true }, {}, {}, {}]
      const world = new World({ router, helpers, seed: 7 })
      world.run(20_000)
      assert.equal(world.facts, expected(router), `${nature}, ${name}`)
    }
  }
})

test('no helper, however it lies, makes a restricted router look open', () => {
  for (const nature of LIARS) {
    for (const name of ['addr', 'port', 'shift', 'sym']) {
      const helpers: HelperSpec[] = Array.from({ length: 4 }, () => ({ nature }))
      const world = new World({ router: ROUTERS[name] as Traits, helpers, seed: 3 })
      world.run(60_000)
      assert.notEqual(world.state.filtering, EI, `${nature}, ${name}`)
      assert.notEqual(world.state.verdict, 'public', `${nature}, ${name}`)
    }
  }
})

test('helpers behind the same router are no witnesses and are not sent', () => {
  for (const [name, router] of Object.entries(ROUTERS)) {
    for (const count of [1, 2, 4]) {
      const helpers: HelperSpec[] = [...honest(count), { neighbour: true }, { neighbour: true }]
      const world = new World({ router, helpers, seed: count })
      world.run(20_000)
      assert.equal(world.facts, expected(router), `${name} with ${count}`)
    }
  }
})

test('a router with two outside addresses is known for what it is, and both are told', () => {
  const addresses = ['51.20.0.10', '51.20.9.9']
  for (const [name, router] of Object.entries(ROUTERS)) {
    for (const count of [1, 2, 4, 9]) {
      const world = new World({ router: { ...router, addresses }, helpers: honest(count), seed: 1 })
      world.run(20_000)
      assert.equal(world.facts, expected(router), `${name} with ${count}`)
      if (count < 4) continue
      const hosts = new Set(world.state.externalAddresses.map((text) => text.split(':')[0]))
      assert.deepEqual(hosts, new Set(addresses), name)
    }
  }
})

test('a peer that the asker has never met dials the listening port itself', () => {
  const router = ROUTERS['full'] as Traits
  const world = new World({ router, helpers: honest(1), strangers: 6, seed: 1 })
  assert.ok((world.until(expected(router), 20_000) ?? Infinity) < 3_000)
  const stranger = world.findings.find((one) => one.type === 'reached' && one.stranger)
  assert.ok(stranger?.type === 'reached' && stranger.door === 'listening' && stranger.other)
})

test('an examination costs a helper and its third peers a handful of dials, all to the asker', () => {
  for (const [name, router] of Object.entries(ROUTERS)) {
    const world = new World({ router, helpers: honest(1), strangers: 3, seed: 2 })
    world.run(20 * 60_000)
    assert.ok(world.dials.length <= 5, `${name}: ${world.dials.join()}`)
    assert.ok(world.dials.every((one) => one.startsWith('51.20.0.10:')))
  }
})

test('with many helpers four are asked, and nobody again for a long time', () => {
  const world = new World({ router: ROUTERS['port'] as Traits, helpers: honest(20), seed: 2 })
  world.run(20 * 60_000)
  const asked = new Set(world.findings.map(({ by }) => by.peer))
  assert.equal(asked.size, 4)
  assert.equal(world.dials.length, 8)
})

test('a port that the router forwards makes a node public, whichever it is, and hidden again when it is gone', () => {
  for (const outside of [4_001, 5_000]) {
    for (const count of [1, 2, 4]) {
      const router = { ...(ROUTERS['port'] as Traits), forwarded: { outside, inside: 4_001 } }
      const world = new World({ router, helpers: honest(count), seed: count })
      world.mapped(outside)
      const about = `port ${outside}, ${count} helpers`
      world.run(10_000)
      assert.equal(world.state.verdict, 'public', about)
      assert.deepEqual(world.state.announce, [`/ip4/51.20.0.10/tcp/${outside}`], about)
      Object.assign(world.router ?? {}, { forwarded: undefined })
      world.mapped(undefined)
      world.run(6_000)
      assert.equal(world.state.verdict, 'private', about)
      assert.deepEqual(world.state.announce, [], about)
    }
  }
})

test('a router that only says that it forwards a port makes nobody public', () => {
  for (const name of ['addr', 'port', 'sym']) {
    for (const outside of [4_001, 5_000]) {
      const world = new World({ router: ROUTERS[name] as Traits, helpers: honest(4), seed: 1 })
      world.mapped(outside)
      world.run(20_000)
      assert.equal(world.facts, expected(ROUTERS[name] as Traits), `${name}, port ${outside}`)
    }
  }
})

test('a public node that a firewall closes is private after the next round, and not by one word', () => {
  for (const count of [1, 4]) {
    const world = new World({ helpers: honest(count), seed: count })
    world.run(10_000)
    assert.equal(world.state.verdict, 'public')
    world.close()
    world.run(30 * 60_000)
    assert.equal(world.state.verdict, 'private', `${count} helpers`)
  }
})
