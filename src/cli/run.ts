import { CommanderError } from 'commander'
import { DONE, exitCodeOf, FAILED, WRONG_USE, sentenceOf } from './exit.ts'
import { createProgram } from './program.ts'

/** Runs one command line and returns the exit code of the process. */
async function main(argv: string[]): Promise<number> {
  let code = DONE
  const program = createProgram((result) => {
    code = result
  })
  try {
    await program.parseAsync(argv)
    return code
  } catch (error) {
    // commander has printed its own sentence already; help that was asked for is no mistake
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : WRONG_USE
    process.stderr.write(`${sentenceOf(error)}\n`)
    return exitCodeOf(error)
  }
}

// `warren events | head` closes our stdout: that is an end, not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? DONE : FAILED)
})
process.exit(await main(process.argv))
