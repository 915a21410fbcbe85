/** What a run is told by its environment, in the words of either of libp2p's two hole punching harnesses. */
import { isIPv4 } from 'node:net'

/** `test-plans` is libp2p/test-plans, hole-punch-interop; `unified` is libp2p/unified-testing, hole-punch. */
export type Harness = 'test-plans' | 'unified'

export interface Settings {
  harness: Harness
  role: 'dial' | 'listen'
  redis: { host: string; port: number }
  /** Put before every key in redis. */
  keyPrefix: string
  /** The one address to listen at; the harness may have connected other networks too. */
  listenIp: string
  /** The network between the routers, in CIDR notation, where the harness says it. */
  internet?: string
}

export type Environment = Readonly<Record<string, string | undefined>>

/** What this program speaks; the harness may ask for anything in its matrix. */
const SPOKEN = { TRANSPORT: 'tcp', SECURE_CHANNEL: 'noise', MUXER: 'yamux' } as const

/** Reads the environment; throws with a sentence about what is wrong with it. */
export function readSettings(env: Environment): Settings {
  for (const [name, spoken] of Object.entries(SPOKEN)) {
    const asked = env[name]
    if (asked !== undefined && asked !== spoken)
      throw new Error(`${name} is ${asked}, but only ${spoken} is spoken here`)
  }
  if (env.MODE !== undefined) return forTestPlans(env)
  if (env.IS_DIALER !== undefined) return forUnified(env)
  throw new Error('neither MODE nor IS_DIALER is set: this is no hole punching harness')
}

function forTestPlans(env: Environment): Settings {
  const { MODE } = env
  if (MODE !== 'dial' && MODE !== 'listen')
    throw new Error(`MODE is ${MODE}, which is neither dial nor listen`)
  return {
    harness: 'test-plans',
    role: MODE,
    redis: readHostPort('REDIS_ADDR', env.REDIS_ADDR ?? 'redis:6379'),
    keyPrefix: '',
    listenIp: '0.0.0.0',
  }
}

function forUnified(env: Environment): Settings {
  const isDialer = env.IS_DIALER
  if (isDialer !== 'true' && isDialer !== 'false')
    throw new Error(`IS_DIALER is ${isDialer}, which is neither true nor false`)
  const listenIp = required(env, isDialer === 'true' ? 'DIALER_IP' : 'LISTENER_IP')
  if (!isIPv4(listenIp)) throw new Error(`${listenIp} is no IPv4 address to listen at`)
  return {
    harness: 'unified',
    role: isDialer === 'true' ? 'dial' : 'listen',
    redis: readHostPort('REDIS_ADDR', required(env, 'REDIS_ADDR')),
    keyPrefix: `${required(env, 'TEST_KEY')}_`,
    listenIp,
    internet: required(env, 'WAN_SUBNET'),
  }
}

/** Which harness a relay serves: one of them names it an address. */
export function readRelaySettings(env: Environment): Omit<Settings, 'role'> {
  const unified = env.TEST_KEY !== undefined
  return {
    harness: unified ? 'unified' : 'test-plans',
    redis: readHostPort('REDIS_ADDR', env.REDIS_ADDR ?? 'redis:6379'),
    keyPrefix: unified ? `${env.TEST_KEY}_` : '',
    listenIp: unified ? required(env, 'RELAY_IP') : '0.0.0.0',
  }
}

function required(env: Environment, name: string): string {
  const value = env[name]
  if (value === undefined || value === '') throw new Error(`${name} is not set`)
  return value
}

function readHostPort(name: string, text: string): { host: string; port: number } {
  const [, host, port] = /^([^:]+):(\d{1,5})$/.exec(text) ?? []
  if (host === undefined) throw new Error(`${name} is ${text}, which is not HOST:PORT`)
  return { host, port: Number(port) }
}
