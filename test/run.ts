import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { missingGo } from './interop/go-build.ts'
import { harnessRequirements } from './interop/requirements.ts'
import { requirements as labRequirements } from './lab/requirements.ts'
import { requirements as containerRequirements } from './support/container-requirements.ts'

/**
 * `npm test` runs every tier; `node test/run.ts unit lab` only those. A tier whose tools are missing is skipped with a
 * line that says what to install, unless TEST_REQUIRE names it (or is `all`): then that is a failure.
 */
interface Tier {
  name: string
  proves: string
  /** What is missing to run it, each with how to get it; empty when it can run. */
  missing?(): string[] | Promise<string[]>
  steps: Step[]
}

interface Step {
  title: string
  argv: string[]
}

const node = (...argv: string[]): string[] => [process.execPath, ...argv]

const files = (pattern: string): string[] => globSync(pattern, { cwd: root }).sort()

const root = new URL('..', import.meta.url).pathname

const tests = (title: string, pattern: string, concurrency: number): Step => ({
  title,
  argv: node(
    '--test',
    '--test-reporter=spec',
    `--test-concurrency=${concurrency}`,
    '--test-timeout=180000',
    ...files(pattern),
  ),
})

const lab = (...args: string[]): string[] => node('test/lab/main.ts', ...args)
const cells = (...names: string[]): string[] => names.flatMap((name) => ['--cell', name])
const scenarios = (...names: string[]): string[] => names.flatMap((name) => ['--scenario', name])
const MOVES = ['survive', 'fallback', 'rehome', 'interface']
const BAD_WIRE = '--loss 2 --skew 200 --jitter 10 --range-seed 7 --relays split --tries 2'.split(
  ' ',
)

const TIERS: Tier[] = [
  {
    name: 'check',
    proves: 'format, types, lint, import directions',
    steps: [
      { title: 'format', argv: ['oxfmt', '--check'] },
      { title: 'types', argv: ['tsc', '--noEmit'] },
      { title: 'lint', argv: ['oxlint', '--type-aware', '--deny-warnings'] },
      {
        title: 'import directions',
        argv: ['depcruise', '--config', '.dependency-cruiser.cjs', 'src', 'protocols'],
      },
    ],
  },
  {
    name: 'unit',
    proves: "the machines' choices, the codecs' bytes",
    steps: [tests('unit', 'test/unit/**/*.test.ts', availableParallelism())],
  },
  {
    name: 'sim',
    proves: 'machines against each other on virtual networks',
    steps: [tests('simulation', 'test/sim/**/*.test.ts', availableParallelism())],
  },
  {
    name: 'integration',
    proves: 'drivers against real libp2p on loopback',
    steps: [tests('integration', 'test/integration/**/*.test.ts', 1)],
  },
  {
    name: 'e2e',
    proves: 'the command line, the package in an empty project',
    steps: [tests('end to end', 'test/e2e/{cli,package}*.test.ts', 1)],
  },
  {
    name: 'lab',
    proves: 'direct or not through real NATs, the examples, the demo',
    missing: labRequirements,
    steps: [
      { title: 'laboratory judges itself', argv: lab('--self-test') },
      // Whether each cell is direct, not how fast: two tries at a time keep two cores busy.
      { title: 'every cell', argv: lab('--matrix', '--tries', '2', '--parallel', '2') },
      {
        title: 'cells over a bad wire, from other addresses, with no relay in common',
        argv: lab(...cells('portxport', 'symxport', 'cgnxaddr'), ...BAD_WIRE),
      },
      { title: 'paths that change under a download', argv: lab(...scenarios(...MOVES)) },
      { title: 'routers that open a port, or lie', argv: lab('--scenario', 'mapped') },
      { title: 'ports published by hand', argv: lab('--scenario', 'published') },
      { title: '100 MB and a dead relay', argv: lab('--scenario', 'big') },
      {
        title: 'relays that die, restart and swallow',
        argv: lab('--scenario', 'relays', '--no-limits'),
      },
      { title: 'a small swarm starts', argv: lab('--scenario', 'start', '--no-limits') },
      { title: 'a dozen nodes outlive half of them', argv: lab('--scenario', 'overlay') },
      { title: 'what each NAT does, by peers and by RFC 5780', argv: lab('--scenario', 'facts') },
      { title: 'the examples behind two NATs', argv: lab('--scenario', 'examples') },
      { title: 'the demo', argv: node('test/lab/demo.ts') },
    ],
  },
  {
    name: 'overlay',
    proves: 'thousands of the very machines form an overlay that outlives four fifths of its nodes',
    steps: [
      {
        title: 'simulated overlay',
        argv: node('test/sim/overlay/main.ts', '--ci', '--rows', '1,2,9,10,27'),
      },
    ],
  },
  {
    name: 'foreign',
    proves: 'peer exchange as a stranger reads it from the specification, in Go',
    missing: missingGo,
    steps: [tests('codecs of two hands', 'test/interop/*.test.ts', 1)],
  },
  {
    name: 'interop',
    proves: "holes punched to go-libp2p, each as the other's relay, libp2p's own harnesses",
    missing: harnessRequirements,
    steps: [
      { title: 'every cell with go-libp2p', argv: node('test/interop/main.ts') },
      { title: 'relay limits', argv: node('test/interop/main.ts', '--limits') },
      { title: "libp2p's own harnesses", argv: node('test/interop/harness.ts') },
    ],
  },
  {
    name: 'container',
    proves: 'the image: build, start, health, stop',
    missing: containerRequirements,
    steps: [tests('container', 'test/e2e/container*.test.ts', 1)],
  },
]

const required = new Set((process.env['TEST_REQUIRE'] ?? '').split(/[\s,]+/).filter(Boolean))
const isRequired = (tier: string): boolean => required.has(tier) || required.has('all')

const total = { passed: 0, failed: 0, skipped: 0 }
/** What the failed steps said of it, said again at the end: a log of half an hour is read from there. */
const failures: string[] = []
const MOST_KEPT = 1_000_000

async function runStep(tier: Tier, { title, argv }: Step): Promise<void> {
  const began = Date.now()
  console.log(`\n── ${tier.name}: ${title}`)
  const [command = '', ...args] = argv
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      process[stream].write(text)
      said = (said + text).slice(-MOST_KEPT)
    })
  }
  const code = await new Promise<number>((resolve) => {
    child.on('error', () => resolve(127))
    child.on('close', (exit) => resolve(exit ?? 1))
  })
  count(argv.includes('--test') ? said.slice(-4_000) : '', code)
  const seconds = ((Date.now() - began) / 1000).toFixed(1)
  const verdict = `── ${tier.name}: ${title}: ${code === 0 ? 'passed' : `FAILED (exit ${code})`} in ${seconds} s`
  console.log(verdict)
  if (code !== 0) failures.push(`${verdict}\n${whatFailed(said)}`)
}

/** The test runner's list of failures, or what stands where a failure is marked, or the last lines. */
function whatFailed(said: string): string {
  const list = said.indexOf('✖ failing tests:')
  if (list >= 0) return said.slice(list, list + 8_000)
  const lines = said.trimEnd().split('\n')
  const near = lines.filter((_, i) =>
    lines.slice(Math.max(0, i - 12), i + 1).some((line) => /FAILED|WRONG|✖/.test(line)),
  )
  return (near.length > 0 ? near.slice(0, 100) : lines.slice(-25)).join('\n')
}

/** A test runner's own counts; any other command counts as one. A runner that ran nothing has failed. */
function count(tail: string, code: number): void {
  const figure = (name: string): number =>
    Number(new RegExp(`^ℹ ${name} (\\d+)$`, 'm').exec(tail)?.[1] ?? 0)
  const passed = figure('pass')
  const failed = figure('fail') + figure('cancelled')
  if (tail === '') {
    if (code === 0) total.passed++
    else total.failed++
    return
  }
  total.passed += passed
  total.skipped += figure('skipped') + figure('todo')
  total.failed += failed === 0 && (code !== 0 || passed === 0) ? 1 : failed
}

async function main(): Promise<void> {
  const asked = process.argv.slice(2)
  const unknown = asked.filter((name) => !TIERS.some((tier) => tier.name === name))
  if (unknown.length > 0) {
    console.error(
      `no such tier: ${unknown.join(', ')}; there are ${TIERS.map((t) => t.name).join(', ')}`,
    )
    process.exit(2)
  }
  const notes: string[] = []
  for (const tier of TIERS) {
    if (asked.length > 0 && !asked.includes(tier.name)) continue
    const missing = (await tier.missing?.()) ?? []
    if (missing.length === 0) {
      for (const step of tier.steps) await runStep(tier, step)
      continue
    }
    const verdict = isRequired(tier.name) ? 'FAILED, it is required' : 'SKIPPED'
    notes.push(`!! tier ${tier.name} (${tier.proves}) ${verdict}: ${missing.join('; ')}`)
    if (isRequired(tier.name)) total.failed++
    else total.skipped++
  }
  if (failures.length > 0) console.log(`\nwhat failed:\n\n${failures.join('\n\n')}`)
  console.log('')
  for (const note of notes) console.log(note)
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : ''
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`)
  process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1)
}

await main()
