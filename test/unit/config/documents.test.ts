import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { envName, optionTable } from '../../../src/config/options.ts'

const page = readFileSync(new URL('../../../docs/operating.md', import.meta.url), 'utf8')

test('the operating guide lists exactly the options that exist, with their variables', () => {
  const listed = [...page.matchAll(/^\| `([a-z-]+)`( \*)? \| `(WARREN_\w+)` \|/gm)]
  assert.deepEqual(
    listed.map(([, name, star, variable]) => [name, star !== undefined, variable]),
    optionTable.map((row) => [row.name, row.repeatable === true, envName(row.name)]),
  )
})
