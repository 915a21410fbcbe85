import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Command } from 'commander'
import { exitCodeOf, sentenceOf } from '../../../src/cli/exit.ts'
import { createProgram } from '../../../src/cli/program.ts'
import { optionsOf } from '../../../src/config/options.ts'

function quiet(): { program: Command; said: () => string } {
  let said = ''
  const program = createProgram(() => {})
  for (const command of [program, ...program.commands])
    command.configureOutput({
      writeErr: (text) => (said += text),
      writeOut: (text) => (said += text),
    })
  return { program, said: () => said }
}

async function run(...args: string[]): Promise<{ code: string; exitCode: number; said: string }> {
  const { program, said } = quiet()
  const error = await program.parseAsync(['node', 'warren', ...args]).then(
    () => assert.fail('it was accepted'),
    (error: { code: string; exitCode: number }) => error,
  )
  return { code: error.code, exitCode: error.exitCode, said: said() }
}

test('every command has help with examples', async () => {
  for (const { _name: name } of quiet().program.commands as unknown as { _name: string }[]) {
    const { exitCode, said } = await run(name, '--help')
    assert.equal(exitCode, 0)
    assert.match(said, new RegExp(`Examples:\\n  .*warren ${name}`))
  }
})

test('the help of up names every option with its variable', async () => {
  const { said } = await run('up', '--help')
  for (const { name } of optionsOf('up')) {
    assert.ok(said.includes(`--${name}`), name)
    assert.ok(said.includes(`WARREN_${name.toUpperCase().replaceAll('-', '_')}`), name)
  }
})

test('an unknown command or option is refused and the nearest one is named', async () => {
  assert.match((await run('stats')).said, /status/)
  assert.match((await run('up', '--bootstraps', 'x')).said, /--bootstrap\b/)
  assert.match((await run('ping', 'x', '--count', 'many')).said, /whole number/)
})

test('too few and too many arguments are refused', async () => {
  assert.equal((await run('connect')).code, 'commander.missingArgument')
  assert.equal((await run('status', 'more')).code, 'commander.excessArguments')
})

test('wrong use exits with 2, a failure with 1', () => {
  assert.equal(exitCodeOf({ code: 'ERR_CONFIG_INVALID' }), 2)
  assert.equal(exitCodeOf({ code: 'ERR_REQUEST_INVALID', status: 400 }), 2)
  assert.equal(exitCodeOf({ code: 'ERR_PEER_UNREACHABLE', status: 502 }), 1)
  assert.equal(exitCodeOf(new Error('defect')), 1)
})

test('an error is told with its code and remedy, a defect with its stack', () => {
  const known = Object.assign(new Error('no way'), { code: 'ERR_TIMEOUT', remedy: 'Wait longer.' })
  assert.equal(sentenceOf(known), 'error: no way (ERR_TIMEOUT)\n  Wait longer.')
  assert.match(sentenceOf(new Error('defect')), /at .*program\.test/)
})
