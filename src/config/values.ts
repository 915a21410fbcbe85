import { resolve } from 'node:path'
import { z } from 'zod'
import { parseApi, parseHostPort } from './places.ts'

/** How much to say in the log, least first. */
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug', 'trace'] as const

/** Long enough that guessing over the network is hopeless (16 random letters hold more than 90 bits). */
const MIN_TOKEN_CHARS = 16

/** What a reader may say about a value: one sentence and, in `params`, what to do about it. */
export interface Context {
  addIssue(issue: { code: 'custom'; message: string; params: { remedy: string } }): void
}

/** Says that a value cannot work, and what would. */
export function problem(ctx: Context, message: string, remedy: string): void {
  ctx.addIssue({ code: 'custom', message, params: { remedy } })
}

/** Turns a parser that throws into one that zod understands. */
export function reading<T>(parse: (text: string) => T): (text: string, ctx: Context) => T {
  return (value, ctx) => {
    try {
      return parse(value)
    } catch (error) {
      const { message, remedy } = error as { message: string; remedy?: string }
      problem(ctx, message, remedy ?? '')
      return z.NEVER
    }
  }
}

export const text = z.string().trim().min(1, 'the value is empty')

/** One reader a kind, text in and checked value out: the kinds every command needs. */
export const plainReaders = {
  directory: text.transform((path) => resolve(path)),
  file: text.transform((path) => resolve(path)),
  network: text.regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'a network is named by 1 to 64 letters, digits, dots, underscores and dashes',
  ),
  relay: z.enum(['auto', 'on', 'off'], 'relay is one of auto, on and off'),
  'on-off': z.enum(['on', 'off'], 'say on or off'),
  api: text.transform(reading(parseApi)),
  token: text
    .min(MIN_TOKEN_CHARS, `a token has at least ${MIN_TOKEN_CHARS} characters`)
    .regex(/^[\x21-\x7e]+$/, 'a token consists of printable ASCII characters without spaces'),
  'host-name': text.transform(reading((name) => readHostName(name))),
  'log-level': z.enum(LOG_LEVELS, `the log level is one of ${LOG_LEVELS.join(', ')}`),
  switch: z
    .union([z.boolean(), z.enum(['true', 'false', '1', '0', 'on', 'off'])], 'say true or false')
    .transform((value) => value === true || ['true', '1', 'on'].includes(String(value))),
}

function readHostName(name: string): string {
  try {
    return parseHostPort(`${name}:0`).host.toLowerCase()
  } catch {
    const remedy = 'Write the name alone, without port or scheme.'
    throw Object.assign(new Error(`"${name}" is not a host name`), { remedy })
  }
}
