/** The command did what it was asked to. */
export const DONE = 0
/** It tried and could not. */
export const FAILED = 1
/** It was asked for something that makes no sense. */
export const WRONG_USE = 2

interface Coded {
  code?: unknown
  message: string
  remedy?: unknown
  status?: unknown
}

const WRONG = new Set<unknown>(['ERR_CONFIG_INVALID', 'ERR_ADDRESS_INVALID', 'ERR_PEER_INVALID'])

/** Wrong use is what another command line would cure; everything else failed. */
export function exitCodeOf(error: unknown): number {
  const { code, status } = error as Coded
  return WRONG.has(code) || status === 400 ? WRONG_USE : FAILED
}

/** What to print for an error: what happened, its code, and what to do about it. */
export function sentenceOf(error: unknown): string {
  const { code, message, remedy } = error as Coded
  const known = typeof code === 'string' && code.startsWith('ERR_')
  // An error nobody planned for is a defect, and its stack is what a report needs.
  if (!known) return `error: ${(error as Error).stack ?? message}`
  return `error: ${message} (${code})${typeof remedy === 'string' && remedy !== '' ? `\n  ${remedy}` : ''}`
}
