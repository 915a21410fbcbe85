import { loadSettings } from '../../config/load.ts'
import { loadOrCreateIdentity } from '../../storage/identity.ts'
import { DONE } from '../exit.ts'
import type { Given } from '../given.ts'
import { print } from '../print.ts'

/** Prints the peer id alone, so that a script can use it; that it is new is said on stderr. */
export async function id({ flags }: Given): Promise<number> {
  const { settings } = await loadSettings({ user: 'id', flags, env: process.env })
  const { peerId, created } = await loadOrCreateIdentity(settings['data-dir'])
  if (created) process.stderr.write(`created a new identity in ${settings['data-dir']}\n`)
  print(settings.json ? JSON.stringify({ peerId }, null, 2) : peerId)
  return DONE
}
