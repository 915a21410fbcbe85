/** The laboratory's own judge: each NAT kind behaves as named, and the wire delays and loses as told. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { setTimeout as after } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { attempt } from './command.ts'
import type { Host } from './host.ts'
import { Lab } from './lab.ts'
import { NAT_KINDS, SHIFT, traitsOf, type NatKind, type NatTraits } from './nat-kinds.ts'
import type { ConnectResult } from './probe.ts'
import { Prober } from './prober.ts'
import { temporaryFolder } from './sweep.ts'

/** One finding of the self-test. */
export interface Check {
  subject: string
  expected: string
  found: string
  ok: boolean
}

const INNER_PORT = 4001
/** A port from which nobody was contacted. */
const OTHER_PORT = 9999
const RTT_MS = 20

const check = (
  subject: string,
  expected: string,
  found: string,
  ok = expected === found,
): Check => ({
  subject,
  expected,
  found,
  ok,
})

/** Public hosts that judge: `x` and `y` are contacted, `z` never is. */
interface Judges {
  x: Prober
  y: Prober
  z: Prober
}

/** Runs every check; `progress` is told each finding as it is made. */
export async function selfTest(progress: (finding: Check) => void): Promise<Check[]> {
  const findings: Check[] = []
  const note = (...made: Check[]) => {
    findings.push(...made)
    made.forEach(progress)
  }
  await using lab = await Lab.create({ rttMs: RTT_MS, ipv6: true })
  const judges = await judgesIn(lab)
  for (const kind of NAT_KINDS) note(...(await checkKind(lab, kind, judges)))
  note(...(await checkHairpin(lab, true)), ...(await checkHairpin(lab, false)))
  note(...(await checkPunch(lab)))
  note(...(await checkForgetting(lab, judges)))
  note(...(await checkWire(lab, judges)), await checkJitter(lab, judges))
  await lab.close()
  note(await checkSweeping())
  return findings
}

async function judgesIn(lab: Lab): Promise<Judges> {
  const [x, y, z] = await Promise.all(
    ['x', 'y', 'z'].map(async (name) => new Prober(await lab.publicHost(name))),
  )
  if (x === undefined || y === undefined || z === undefined)
    throw new Error('three judges were asked for')
  await Promise.all([
    x.listen(7001),
    x.listen(7002),
    y.listen(7001),
    x.listen(7011),
    y.listen(7011),
  ])
  return { x, y, z }
}

const port = (endpoint: string) => Number(endpoint.split(' ')[1])
const address = (endpoint: string) => endpoint.split(' ')[0]?.replace('::ffff:', '') ?? ''

async function checkKind(lab: Lab, kind: NatKind, judges: Judges): Promise<Check[]> {
  const host = await lab.natHost(`k-${kind}`, kind)
  const probe = new Prober(host)
  try {
    await probe.listen(INNER_PORT)
    const traits = traitsOf(kind)
    return traits === null
      ? await checkFirewall(probe, judges)
      : await checkTranslation(kind, traits, host, probe, judges)
  } finally {
    await probe.stop()
  }
}

async function checkTranslation(
  kind: NatKind,
  traits: NatTraits,
  host: Host,
  probe: Prober,
  { x, y, z }: Judges,
): Promise<Check[]> {
  const seen: string[] = []
  // One after the other, so that a sequence of ports shows as one.
  for (const [judge, to] of [
    [x, 7001],
    [x, 7002],
    [y, 7001],
  ] as const) {
    seen.push((await probe.connect(INNER_PORT, judge.host.address, to)).observed)
  }
  const [first = '', second = '', third = ''] = seen
  const mapped = port(first)
  const [samePeer, stranger] = await Promise.all([
    x.connect(OTHER_PORT, host.externalAddress, mapped),
    z.connect(OTHER_PORT, host.externalAddress, mapped),
  ])
  return [
    check(`${kind}: external address`, host.externalAddress, address(first)),
    check(`${kind}: mapping`, traits.mapping, mappingOf(first, second, third)),
    check(`${kind}: ports`, traits.ports, portsOf(seen.map(port))),
    check(`${kind}: filtering`, traits.filtering, filteringOf(samePeer, stranger)),
    ...(traits.filtering === 'endpoint-independent'
      ? []
      : [check(`${kind}: a stranger is`, traits.unsolicited, refusalOf(stranger))]),
  ]
}

/** RFC 4787 mapping from what two ports of one host and another host saw. */
function mappingOf(first: string, samePeer: string, otherPeer: string): string {
  if (first === '' || samePeer === '' || otherPeer === '') return 'no connection'
  if (first === samePeer && first === otherPeer) return 'endpoint-independent'
  if (first === samePeer) return 'address-dependent'
  return samePeer === otherPeer ? 'unnamed' : 'address-and-port-dependent'
}

function portsOf([first = 0, second = 0, third = 0]: number[]): string {
  if (first === INNER_PORT && second === INNER_PORT && third === INNER_PORT) return 'preserved'
  if (first === INNER_PORT + SHIFT.by && second === first && third === first) return 'shifted'
  return second === first + 1 && third === second + 1 ? 'sequential' : 'random'
}

function filteringOf(samePeerOtherPort: ConnectResult, stranger: ConnectResult): string {
  if (stranger.outcome === 'open') return 'endpoint-independent'
  return samePeerOtherPort.outcome === 'open' ? 'address-dependent' : 'address-and-port-dependent'
}

const refusalOf = ({ outcome }: ConnectResult): string =>
  outcome === 'refused' ? 'reset' : outcome === 'silence' ? 'dropped' : 'let in'

async function checkFirewall(probe: Prober, { x, z }: Judges): Promise<Check[]> {
  const own = probe.host.address
  const out = await probe.connect(INNER_PORT, x.host.ipv6Address ?? '', 7001)
  const [samePeer, stranger] = await Promise.all([
    x.connect(OTHER_PORT, own, INNER_PORT),
    z.connect(OTHER_PORT, own, INNER_PORT),
  ])
  return [
    check('v6fw: address and port stay', `${own} ${INNER_PORT}`, out.observed),
    check('v6fw: filtering', 'address-and-port-dependent', filteringOf(samePeer, stranger)),
  ]
}

async function checkHairpin(lab: Lab, hairpin: boolean): Promise<Check[]> {
  const word = hairpin ? 'on' : 'off'
  const first = await lab.natHost(`h-${word}-1`, 'port', { hairpin })
  if (first.router === null) throw new Error('a NAT host has a router')
  const second = await lab.natHost(`h-${word}-2`, 'port', { behind: first.router })
  const [one, two, outside] = [
    new Prober(first),
    new Prober(second),
    new Prober(await lab.publicHost(`h-${word}-x`)),
  ]
  await Promise.all([one.listen(INNER_PORT), outside.listen(7001)])
  await one.connect(INNER_PORT, outside.host.address, 7001)
  const turned = await two.connect(INNER_PORT + 1, first.externalAddress, INNER_PORT)
  const local = await two.connect(INNER_PORT + 2, first.address, INNER_PORT)
  await Promise.all([one.stop(), two.stop(), outside.stop()])
  return [
    check(
      `same, hairpin ${word}: by the external address`,
      hairpin ? `open from ${first.externalAddress}` : 'silence',
      turned.outcome === 'open' ? `open from ${address(turned.observed)}` : turned.outcome,
    ),
    check(`same, hairpin ${word}: by the LAN address`, 'open', local.outcome),
  ]
}

/** Simultaneous open joins two port-restricted NATs, and cannot join two symmetric ones. */
async function checkPunch(lab: Lab): Promise<Check[]> {
  const found: Check[] = []
  for (const [kind, expected] of [
    ['port', 'open'],
    ['sym', 'silence'],
  ] as const) {
    const hosts = [
      await lab.natHost(`p-${kind}-1`, kind),
      await lab.natHost(`p-${kind}-2`, kind),
    ] as const
    const [one, two] = [new Prober(hosts[0]), new Prober(hosts[1])]
    await Promise.all([one.listen(INNER_PORT), two.listen(INNER_PORT)])
    const [result] = await Promise.all([
      one.connect(INNER_PORT, hosts[1].externalAddress, INNER_PORT),
      two.connect(INNER_PORT, hosts[0].externalAddress, INNER_PORT),
    ])
    await Promise.all([one.stop(), two.stop()])
    found.push(check(`${kind} × ${kind}: simultaneous open`, expected, result.outcome))
  }
  return found
}

async function checkForgetting(lab: Lab, { x, z }: Judges): Promise<Check[]> {
  const host = await lab.natHost('forgetful', 'full')
  const probe = new Prober(host)
  await probe.listen(INNER_PORT)
  await probe.connect(INNER_PORT, x.host.address, 7011)
  const before = await z.connect(OTHER_PORT + 1, host.externalAddress, INNER_PORT)
  await host.router?.forget()
  const later = await z.connect(OTHER_PORT + 2, host.externalAddress, INNER_PORT)
  await probe.stop()
  return [
    check('full: a stranger before the router forgets', 'open', before.outcome),
    check('full: a stranger after the router forgot', 'silence', later.outcome),
  ]
}

const BULK_BYTES = 30_000_000
const DATAGRAMS = 3000

const JITTER_MS = 40
const JITTER_TRIES = 12

/** Round trips under jitter are never shorter than without, and differ. */
async function checkJitter(lab: Lab, { x, z }: Judges): Promise<Check> {
  await lab.setDelay(RTT_MS, JITTER_MS)
  const times: number[] = []
  for (let n = 0; n < JITTER_TRIES; n++)
    times.push((await z.connect(8600 + n, x.host.address, 7011, 1000)).ms)
  await lab.setDelay(RTT_MS, 0)
  const [least, most] = [Math.min(...times), Math.max(...times)]
  // Twelve sums of two draws from 0 to 40 ms all lie within 10 ms of each other once in many million runs.
  return check(
    `jitter of ${JITTER_MS} ms each way`,
    `${RTT_MS} to ${RTT_MS + 2 * JITTER_MS} ms, more than 10 ms apart`,
    `${least.toFixed(1)} to ${most.toFixed(1)} ms`,
    least >= RTT_MS && most - least > 10 && least < RTT_MS + 2 * JITTER_MS,
  )
}

async function checkWire(lab: Lab, { x, y, z }: Judges): Promise<Check[]> {
  const found: Check[] = []
  for (const rttMs of [10, 50, 300]) {
    await lab.setDelay(rttMs)
    const tries: number[] = []
    // The quickest of three: a busy machine adds to a round trip, and nothing takes from it.
    for (const from of [8000, 8001, 8002]) {
      tries.push((await z.connect(from + rttMs, x.host.address, 7011, 5 * rttMs + 500)).ms)
    }
    const ms = Math.min(...tries)
    const close = ms >= rttMs && ms < rttMs + 8
    found.push(
      check(
        `round trip of ${rttMs} ms`,
        `${rttMs} to ${rttMs + 8} ms`,
        `${ms.toFixed(1)} ms`,
        close,
      ),
    )
  }
  await lab.setDelay(50)
  await y.listen(7031, { bytes: BULK_BYTES })
  const { bytes, ms } = await x.fetch(y.host.address, 7031)
  const megabits = (bytes * 8) / ms / 1000
  // Slow start over 50 ms takes a third of this; a switch that cannot carry a transfer shows far below.
  found.push(
    check('30 MB at 50 ms', 'above 50 Mbit/s', `${megabits.toFixed(0)} Mbit/s`, megabits > 50),
  )
  await lab.setDelay(2)
  await lab.setLoss(10)
  const counting = z.count(7041, DATAGRAMS, 1000)
  // The counter binds before it reads the next request, so asking it anything orders the two.
  await z.listen(7042)
  await x.send(z.host.address, 7041, DATAGRAMS)
  const lost = 100 * (1 - (await counting) / DATAGRAMS)
  await lab.setLoss(0)
  // Four standard deviations of 3000 tries at 10 %.
  found.push(
    check('loss of 10 %', '7.8 to 12.2 %', `${lost.toFixed(1)} %`, Math.abs(lost - 10) < 2.2),
  )
  return found
}

/** Kills a laboratory's process and expects nothing of it to stay. */
async function checkSweeping(): Promise<Check> {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('./self-test-victim.ts', import.meta.url))],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const prefix = line.toString().trim()
  child.kill('SIGKILL')
  const deadline = performance.now() + 10_000
  let left = 'unknown'
  while (left !== 'nothing' && performance.now() < deadline) {
    await after(50)
    left = await remains(prefix)
  }
  return check('after kill -9 of a laboratory there is left', 'nothing', left)
}

async function remains(prefix: string): Promise<string> {
  const { stdout } = await attempt(['ip', 'netns', 'list'])
  const namespaces = stdout.split('\n').filter((line) => line.startsWith(prefix))
  if (namespaces.length > 0) return `${namespaces.length} namespaces`
  const folder = await access(temporaryFolder(prefix)).then(
    () => true,
    () => false,
  )
  return folder ? 'its folder' : 'nothing'
}
