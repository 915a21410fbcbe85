import { FAILED } from './exit.ts'

/** What tells a command to come to an end. */
export interface Interruption {
  signal: AbortSignal
  /** Resolves with the name of the signal that came. */
  came: Promise<NodeJS.Signals>
}

/** Waits for SIGINT and SIGTERM: the first asks to stop, the second does not wait for it. */
export function interrupted(): Interruption {
  const controller = new AbortController()
  const came = new Promise<NodeJS.Signals>((resolve) => {
    const listener = (name: NodeJS.Signals): void => {
      if (controller.signal.aborted) process.exit(FAILED)
      controller.abort()
      resolve(name)
    }
    process.on('SIGINT', listener)
    process.on('SIGTERM', listener)
  })
  return { signal: controller.signal, came }
}
