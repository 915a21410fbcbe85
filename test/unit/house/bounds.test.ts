import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

const root = new URL('../../..', import.meta.url).pathname

/** One violation of every rule: the file that breaks it, and what it imports. */
const VIOLATIONS: Record<string, { file: string; imports: string; needs?: string }> = {
  'no-unresolvable': { file: 'src/net/a.ts', imports: 'no-such-package' },
  'no-circular': { file: 'src/net/loop-a.ts', imports: './loop-b.ts', needs: './loop-a.ts' },
  'kernel-imports-nothing': { file: 'protocols/kernel/a.ts', imports: '../x/x.ts' },
  'protocols-decide': { file: 'protocols/x/a.ts', imports: 'node:net' },
  'membership-builds-on-peer-exchange': { file: 'protocols/membership/a.ts', imports: '../x/x.ts' },
  'overlay-joins-the-two': { file: 'protocols/overlay/a.ts', imports: '../x/x.ts' },
  'net-and-storage-are-plumbing': { file: 'src/net/b.ts', imports: '../drivers/x.ts' },
  'drivers-carry-out': { file: 'src/drivers/a.ts', imports: '../node/x.ts' },
  'observe-is-told': { file: 'src/observe/a.ts', imports: '../drivers/x.ts' },
  'node-knows-no-control': { file: 'src/node/a.ts', imports: '../control/x.ts' },
  'control-serves-the-node': { file: 'src/control/a.ts', imports: 'libp2p' },
  'client-speaks-http': { file: 'src/client/a.ts', imports: '../node/x.ts' },
  'cli-uses-the-client': { file: 'src/cli/a.ts', imports: '../node/x.ts' },
  'nothing-imports-test': { file: 'src/net/c.ts', imports: '../../test/x.ts' },
}

const FOLDERS = ['protocols/x', 'src/drivers', 'src/node', 'src/control', 'src/cli', 'test']

function place(folder: string, file: string, text: string): void {
  const path = join(folder, file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

function cruise(folder: string): { rules: Set<string>; modules: number } {
  const run = spawnSync(
    process.execPath,
    [
      join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'),
      '--config',
      '.dependency-cruiser.cjs',
      '--output-type',
      'json',
      'src',
      'protocols',
    ],
    { cwd: folder, encoding: 'utf8', maxBuffer: 64 << 20 },
  )
  const { summary } = JSON.parse(run.stdout) as {
    summary: { violations: { rule: { name: string } }[]; totalCruised: number }
  }
  return {
    rules: new Set(summary.violations.map((v) => v.rule.name)),
    modules: summary.totalCruised,
  }
}

test('the import check finds a planted violation of every one of its rules', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'warren-bounds-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const file of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json']) {
    cpSync(join(root, file), join(folder, file))
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  for (const place_ of FOLDERS) place(folder, join(place_, 'x.ts'), 'export const x = 1\n')
  for (const { file, imports, needs } of Object.values(VIOLATIONS)) {
    place(folder, file, `import '${imports}'\nexport const a = 1\n`)
    if (needs !== undefined) {
      place(folder, join(dirname(file), imports), `import '${needs}'\nexport const b = 1\n`)
    }
  }
  const { rules, modules } = cruise(folder)
  assert.ok(modules >= Object.keys(VIOLATIONS).length, `only ${modules} modules were looked at`)
  const config = (await import(join(root, '.dependency-cruiser.cjs'))) as {
    default: { forbidden: { name: string }[] }
  }
  for (const { name } of config.default.forbidden) {
    assert.ok(name in VIOLATIONS, `no violation is planted for the rule ${name}`)
    assert.ok(rules.has(name), `the rule ${name} did not find its planted violation`)
  }
})
