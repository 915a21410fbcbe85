import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import type { TestContext } from 'node:test'

/** What a mocha test function finds in `this`, as far as libp2p's suites use it. */
interface MochaContext {
  skip(): void
  timeout(ms: number): void
}

// The suites ask for up to nine minutes, meant for browsers on old machines. What takes this long here is broken.
const TEST_TIMEOUT_MS = 60_000

/**
 * Lets suites written for mocha's globals run under `node:test`. Returns the names of the tests that ran to their
 * end, so that a run in which the suite registered nothing cannot pass.
 */
export function provideMochaGlobals(): { readonly passed: ReadonlySet<string> } {
  const passed = new Set<string>()
  const mochaIt = (name: string, run: (this: MochaContext) => void | Promise<void>): void => {
    it(name, { timeout: TEST_TIMEOUT_MS }, async (t: TestContext) => {
      let skipped = false
      const skip = (): void => {
        skipped = true
        t.skip()
      }
      await run.call({ skip, timeout: () => {} })
      if (!skipped) passed.add(name)
    })
  }
  Object.assign(globalThis, { describe, it: mochaIt, before, after, beforeEach, afterEach })
  return { passed }
}
