import pino from 'pino'
import type { Logger } from 'pino'

export interface LogOptions {
  /** `silent`, `error`, `warn`, `info`, `debug` or `trace`. */
  level: string
  /** Text with colours for a person, instead of one JSON object a line. */
  pretty: boolean
}

const STDERR = 2

/** The log of the process. It goes to stderr, because stdout belongs to what the command prints. */
export async function createLog({ level, pretty }: LogOptions): Promise<Logger> {
  const base = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime }
  // Written at once: a line that explains why the process ends must be out before it does.
  if (!pretty) return pino(base, pino.destination({ dest: STDERR, sync: true }))
  const { PinoPretty } = await import('pino-pretty')
  return pino(base, PinoPretty({ destination: STDERR, sync: true, translateTime: 'SYS:HH:MM:ss' }))
}
