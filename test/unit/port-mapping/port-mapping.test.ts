import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { PORT_MAPPING_LIMITS } from '../../../protocols/port-mapping/limits.ts'
import type { PortMappingInput } from '../../../protocols/port-mapping/io.ts'
import { NETWORK, WISH, World } from './world.ts'

const MINUTE = 60_000

/** A world whose router speaks only these. */
function speaking(...protocols: ('pcp' | 'natPmp' | 'upnp')[]): World {
  const world = new World()
  for (const name of ['pcp', 'natPmp', 'upnp'] as const)
    world.gateway.speaks[name] = protocols.includes(name)
  return world
}

/** How long each of several losses lasts with a gateway that is back at once and then stays for so long. */
function lossesMs(staysMs: number): number[] {
  const world = speaking('pcp').enter().run(staysMs)
  return Array.from({ length: 8 }, () => {
    world.gateway.speaks.pcp = false
    while (world.held() !== undefined) world.run(100)
    const lostAt = world.now
    world.gateway.speaks.pcp = true
    while (world.held() === undefined) world.run(100)
    const ms = world.now - lostAt
    world.run(staysMs)
    return ms
  })
}

describe('choosing', () => {
  test('all protocols are asked at once, and the best one maps at once', () => {
    const world = new World().enter().run(50)
    assert.deepEqual(
      world.sent.slice(0, 3).map(({ type, atMs }) => [type, atMs]),
      [
        ['send', 0],
        ['send', 0],
        ['search', 0],
      ],
    )
    assert.equal(world.held()?.protocol, 'pcp')
    assert.equal(world.held()?.externalPort, WISH)
    assert.equal(world.held()?.externalIp, '51.20.0.10')
    assert.deepEqual([...world.gateway.mapped], [[WISH, 4001]], 'and the others map nothing')
  })

  test('a lesser one waits for a better one that says nothing, but not for long', () => {
    const world = speaking('natPmp', 'upnp').enter().run(500)
    assert.equal(world.held(), undefined)
    world.run(200)
    assert.equal(world.held()?.protocol, 'nat-pmp')
    assert.equal(world.held()?.externalIp, '51.20.0.10')
  })

  test('UPnP maps where nothing else is spoken', () => {
    const world = speaking('upnp').enter().run(700)
    assert.equal(world.held()?.protocol, 'upnp')
    assert.equal(world.held()?.externalIp, '51.20.0.10')
    assert.deepEqual(world.gateway.leases, [1_200])
  })

  test('what one protocol refuses the next one may grant', () => {
    const world = new World()
    world.gateway.pcpResult = 2
    world.gateway.natPmpResult = 2
    world.enter().run(1_000)
    assert.equal(world.held()?.protocol, 'upnp')
    assert.equal(world.machine.state.answers.pcp, 'not-authorized')
  })

  test('the wish is never the port that is listened on', () => {
    const world = new World()
    world.feed({ type: 'network', network: { ...NETWORK, port: WISH } })
    world.run(50)
    assert.equal(world.held()?.externalPort, WISH + 1)
  })

  test('over IPv6 only PCP is asked, for the port itself', () => {
    const world = new World()
    const network = { gateway: 'fe80::1', ip: '2a01:db9::2', port: 4001 }
    world.feed({ type: 'network', network })
    assert.equal(world.count('search'), 0)
    assert.equal(world.count('send'), 1)
  })
})

describe('UPnP as routers speak it', () => {
  test('a port that another host has makes way for another one', () => {
    const world = speaking('upnp')
    world.gateway.upnpErrors = { AddPortMapping: 718 }
    world.enter().run(1_000)
    const port = world.held()?.externalPort ?? 0
    assert.ok(port >= 32_768 && port !== WISH, `${port}`)
  })

  test('a router that wants the same port on both sides gets it', () => {
    const world = speaking('upnp')
    world.gateway.upnpErrors = { AddPortMapping: 724 }
    assert.equal(world.enter().run(1_000).held()?.externalPort, NETWORK.port)
  })

  test('a router that knows no leases is asked for one without an end, and gives it back all the same', () => {
    const world = speaking('upnp')
    world.gateway.upnpErrors = { AddPortMapping: 725 }
    world.enter().run(1_000)
    assert.equal(world.gateway.leases.at(-1), 0)
    assert.equal(world.held()?.externalPort, WISH)
    world.feed({ type: 'leave' })
    world.run(50)
    assert.equal(world.gateway.mapped.size, 0)
  })

  test('a description somewhere else is never fetched', () => {
    for (const location of [
      'http://192.168.1.9:5000/root.xml',
      'https://192.168.1.1/root.xml',
      'http://user:word@192.168.1.1/root.xml',
      'http://router.lan/root.xml',
      'file:///etc/passwd',
      'http://[::1]/root.xml',
      'nonsense',
    ]) {
      const world = speaking('upnp')
      world.gateway.location = location
      world.enter().run(10_000)
      assert.equal(world.count('request'), 0, location)
    }
  })

  test('a mapping that the router gave to somebody else meanwhile is asked for again', () => {
    const world = speaking('upnp').enter().run(1_000)
    world.gateway.mapped.clear()
    world.run(PORT_MAPPING_LIMITS.checkHttpMs + 100)
    assert.deepEqual([...world.gateway.mapped], [[WISH, 4001]])
    assert.equal(world.count('changed'), 1, 'and nobody noticed')
  })
})

describe('keeping', () => {
  test('a mapping is renewed at half its life, at the same port, and nobody is told', () => {
    const world = new World().enter().run(61 * MINUTE)
    assert.equal(world.gateway.leases.length, 7)
    assert.equal(world.count('changed'), 1)
  })

  test('a short lease is renewed more often, but not all the time', () => {
    const world = new World()
    world.gateway.lease = 2
    world.enter().run(10 * MINUTE)
    assert.ok(world.gateway.leases.length > 30 && world.gateway.leases.length <= 41)
  })

  test('a lease of years is renewed within a day', () => {
    const world = new World()
    world.gateway.lease = 0xffffffff
    world.enter().run(13 * 60 * MINUTE)
    assert.ok(world.gateway.leases.length >= 2)
  })

  test('a gateway that restarted gets the same mapping again within seconds', () => {
    for (const world of [speaking('pcp'), speaking('natPmp'), speaking('upnp')]) {
      world.enter().run(10 * MINUTE + 4_000)
      world.gateway.restart(world.now)
      world.run(PORT_MAPPING_LIMITS.checkHttpMs + 100)
      assert.deepEqual([...world.gateway.mapped], [[WISH, 4001]])
      assert.equal(world.count('changed'), 1)
    }
  })

  test('another external address is told', () => {
    const world = speaking('natPmp').enter().run(MINUTE)
    world.gateway.externalIp = '62.20.0.10'
    world.run(6_000)
    assert.equal(world.held()?.externalIp, '62.20.0.10')
  })

  test('a gateway that falls silent has lost it within ten seconds', () => {
    const world = speaking('pcp').enter().run(MINUTE)
    world.gateway.speaks.pcp = false
    world.run(9_000)
    assert.equal(world.held(), undefined)
  })

  test('one where nobody listens any more has lost it sooner', () => {
    const world = speaking('natPmp')
      .enter()
      .run(MINUTE + 4_999)
    world.gateway.unreachable = true
    world.run(1_000)
    assert.equal(world.held(), undefined)
  })

  test('one lost datagram is no loss', () => {
    const world = speaking('pcp')
      .enter()
      .run(MINUTE - 10)
    world.gateway.speaks.pcp = false
    world.run(300)
    world.gateway.speaks.pcp = true
    world.run(10 * MINUTE)
    assert.equal(world.count('changed'), 1)
  })

  test('what is lost comes back when the gateway does', () => {
    const world = speaking('pcp')
      .enter()
      .run(2 * MINUTE)
    world.gateway.speaks.pcp = false
    world.run(20_000)
    assert.equal(world.held(), undefined)
    world.gateway.speaks.pcp = true
    world.run(20_000)
    assert.equal(world.held()?.externalPort, WISH)
  })

  test('a gateway that comes and goes is asked less and less, one that mostly stays is not', () => {
    assert.ok((lossesMs(1_000).at(-1) ?? 0) > 2 * MINUTE)
    assert.ok(Math.max(...lossesMs(3 * MINUTE)) < 8_000)
  })

  test('somebody who could not get in makes it be renewed, now and then', () => {
    const world = new World().enter().run(MINUTE)
    world.gateway.mapped.clear()
    for (let i = 0; i < 20; i++) {
      world.feed({ type: 'doubted' })
      world.run(1_000)
    }
    assert.deepEqual([...world.gateway.mapped], [[WISH, 4001]])
    assert.equal(world.gateway.leases.length, 2)
  })
})

describe('searching', () => {
  test('where nobody answers, the pauses grow to a quarter of an hour', () => {
    const world = speaking()
      .enter()
      .run(24 * 60 * MINUTE)
    const searches = world.sent.filter(({ type }) => type === 'search').map(({ atMs }) => atMs)
    const sends = world.count('send')
    assert.ok(sends < 1_200, `${sends} datagrams in a day`)
    assert.ok((searches.at(-1) as number) > 23 * 60 * MINUTE, 'and never end')
  })

  test('while it is asked again, a router is known by what it last said', () => {
    const world = speaking().enter()
    assert.equal(world.machine.state.answers.pcp, 'asking')
    const { patienceMs, rest } = PORT_MAPPING_LIMITS
    world.run(patienceMs.reduce<number>((sum, ms) => sum + ms, 100))
    const said = world.machine.state.answers
    assert.deepEqual(said, { pcp: 'silent', 'nat-pmp': 'silent', upnp: 'silent' })
    const asked = world.count('send')
    world.run(rest.firstMs * 1.5)
    assert.ok(world.count('send') > asked, 'it is asked again')
    assert.deepEqual(world.machine.state.answers, said)
  })

  test('a new network is searched at once, and nothing of the old one counts', () => {
    const world = new World().enter().run(MINUTE)
    world.feed({ type: 'network', network: { ...NETWORK, ip: '192.168.1.9' } })
    assert.equal(world.held(), undefined)
    world.run(100)
    assert.equal(world.held()?.network.ip, '192.168.1.9')
    world.feed({ type: 'network', network: undefined })
    assert.equal(world.held(), undefined)
    assert.equal(world.machine.nextWake(), undefined)
  })

  test('the same network again is nothing new', () => {
    const world = new World().enter().run(MINUTE)
    const before = world.sent.length
    world.enter()
    assert.equal(world.sent.length, before)
  })
})

describe('leaving', () => {
  for (const protocol of ['pcp', 'natPmp', 'upnp'] as const)
    test(`${protocol}: what is held is given back`, () => {
      const world = speaking(protocol).enter().run(1_000)
      assert.equal(world.gateway.mapped.size, 1)
      world.feed({ type: 'leave' })
      world.run(10)
      assert.equal(world.gateway.mapped.size, 0)
      assert.equal(world.count('left'), 1)
      assert.equal(world.machine.nextWake(), undefined)
    })

  test('a silent gateway does not hold the node up', () => {
    const world = speaking('pcp').enter().run(1_000)
    world.gateway.speaks.pcp = false
    world.feed({ type: 'leave' })
    world.run(PORT_MAPPING_LIMITS.leaveMs)
    assert.equal(world.count('left'), 1)
  })

  test('what was asked for and not granted yet is given back too', () => {
    const world = speaking('pcp').enter().run(3)
    world.feed({ type: 'leave' })
    world.run(10)
    assert.equal(world.gateway.mapped.size, 0)
    assert.equal(world.count('left'), 1)
  })

  test('without a network there is nothing to give back', () => {
    const world = new World()
    world.feed({ type: 'leave' })
    assert.equal(world.count('left'), 1)
  })
})

test('whatever happens in whatever order, no mapping is held that nobody granted, and the machine never spins', () => {
  const bytes = fc.uint8Array({ maxLength: 64 })
  const event = fc.oneof(
    fc.constantFrom<PortMappingInput>(
      { type: 'network', network: NETWORK },
      { type: 'network', network: undefined },
      { type: 'doubted' },
      { type: 'unreachable', protocol: 'pcp' },
      { type: 'unreachable', protocol: 'nat-pmp' },
    ),
    fc.record({
      type: fc.constant('datagram' as const),
      protocol: fc.constantFrom('pcp' as const, 'nat-pmp' as const),
      bytes,
    }),
    fc.record({ type: fc.constant('found' as const), text: fc.string() }),
    fc.record({
      type: fc.constant('answered' as const),
      id: fc.nat({ max: 20 }),
      answer: fc.option(fc.record({ status: fc.nat({ max: 600 }), body: fc.string() }), {
        nil: undefined,
      }),
    }),
  )
  fc.assert(
    fc.property(
      fc.array(fc.tuple(event, fc.nat({ max: 20_000 }), fc.nat({ max: 7 })), { maxLength: 40 }),
      (events) => {
        const world = speaking()
        for (const [input, pauseMs, speaks] of events) {
          world.gateway.speaks = {
            pcp: (speaks & 1) > 0,
            natPmp: (speaks & 2) > 0,
            upnp: (speaks & 4) > 0,
          }
          world.feed(input)
          world.run(pauseMs)
          const { mapping } = world.machine.state
          assert.deepEqual(mapping?.protocol, world.held()?.protocol)
          if (mapping !== undefined) assert.ok(world.gateway.leases.length > 0)
        }
        const spent = events.reduce((sum, [, ms]) => sum + ms, 0)
        // Every input may begin a search of a dozen packets; time alone asks every few seconds.
        assert.ok(
          world.count('send') <= 30 * (events.length + 1) + spent / 200,
          `${world.count('send')}`,
        )
      },
    ),
    { numRuns: 300 },
  )
})
