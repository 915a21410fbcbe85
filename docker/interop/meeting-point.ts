/** The redis server of a harness: where relay, listener and dialer find each other. */
import { setTimeout as after } from 'node:timers/promises'
import { createClient } from '@redis/client'
import type { Settings } from './settings.ts'

/** What the three programs tell each other. */
export interface MeetingPoint extends AsyncDisposable {
  relay(): Promise<string>
  publishRelay(address: string): Promise<void>
  listener(): Promise<string>
  publishListener(peerId: string): Promise<void>
}

/** The unified harness has no queue to wait at, so its keys are asked for again. */
const ASK_AGAIN_MS = 100

/** Connects to redis, and waits for it as long as the harness lets us live. */
export async function meetingPoint(settings: Omit<Settings, 'role'>): Promise<MeetingPoint> {
  const client = clientOf(settings.redis)
  client.on('error', (error: Error) => process.stderr.write(`redis: ${error.message}\n`))
  await client.connect()
  const close = async (): Promise<void> => client.destroy()
  return settings.harness === 'test-plans'
    ? { ...atLists(client), [Symbol.asyncDispose]: close }
    : { ...atKeys(client, settings.keyPrefix), [Symbol.asyncDispose]: close }
}

const clientOf = (server: { host: string; port: number }) =>
  createClient({ socket: { ...server, reconnectStrategy: ASK_AGAIN_MS } })

type Client = ReturnType<typeof clientOf>

function atLists(client: Client): Omit<MeetingPoint, typeof Symbol.asyncDispose> {
  const take = async (key: string): Promise<string> => {
    // 0: for ever. The harness ends what takes too long.
    const taken = await client.blPop(key, 0)
    if (taken === null) throw new Error(`redis gave nothing for ${key}`)
    return taken.element
  }
  return {
    relay: () => take('RELAY_TCP_ADDRESS'),
    // One for each of the two clients.
    publishRelay: async (address) =>
      void (await client.rPush('RELAY_TCP_ADDRESS', [address, address])),
    listener: () => take('LISTEN_CLIENT_PEER_ID'),
    publishListener: async (id) => void (await client.rPush('LISTEN_CLIENT_PEER_ID', id)),
  }
}

function atKeys(client: Client, prefix: string): Omit<MeetingPoint, typeof Symbol.asyncDispose> {
  const read = async (key: string): Promise<string> => {
    for (;;) {
      const value = await client.get(prefix + key)
      if (value !== null) return value
      await after(ASK_AGAIN_MS)
    }
  }
  const write = async (key: string, value: string): Promise<void> => {
    await client.set(prefix + key, value)
  }
  return {
    relay: () => read('relay_multiaddr'),
    publishRelay: (address) => write('relay_multiaddr', address),
    listener: () => read('listener_peer_id'),
    publishListener: (id) => write('listener_peer_id', id),
  }
}
