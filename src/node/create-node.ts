import { privateKeyFromProtobuf, generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { parseAddress } from '../../protocols/kernel/address.ts'
import { WarrenError } from '../../protocols/kernel/errors.ts'
import { makeDataDir } from '../storage/data-dir.ts'
import { loadOrCreateIdentity } from '../storage/identity.ts'
import { lockDataDir } from '../storage/lock.ts'
import type { DataDirLock } from '../storage/lock.ts'
import { OverlayNode } from './overlay-node.ts'
import { readTarget } from './connector.ts'
import { silent } from './logger.ts'
import type { Settings } from './parts.ts'
import type { NodeOptions, WarrenNode } from '../types.ts'

/** TCP port 4001 is what libp2p nodes use, so firewalls that know it know ours. */
export const DEFAULT_LISTEN = ['/ip4/0.0.0.0/tcp/4001', '/ip6/::/tcp/4001']

/**
 * Starts a node: it listens, joins through `bootstrap` and its own peer book, gets itself reachable and links to
 * others. Resolves when it listens; joining goes on in the background and shows in `events()` and `status()`.
 *
 * Throws WarrenError: ERR_ADDRESS_INVALID, ERR_PORT_IN_USE, ERR_LISTEN_FAILED, ERR_IDENTITY_UNREADABLE,
 * ERR_DATA_DIR_IN_USE. A bootstrap that does not answer is no error but a condition.
 */
export async function createNode(options: NodeOptions = {}): Promise<WarrenNode> {
  options.signal?.throwIfAborted()
  const settings = settle(options)
  const lock = options.dataDir === undefined ? undefined : await takeDataDir(options.dataDir)
  const release = async (): Promise<void> => lock?.release()
  try {
    return await OverlayNode.start(settings, await identityOf(options), release)
  } catch (err) {
    await release()
    throw err
  }
}

/** Fills in defaults; throws on addresses that cannot be read. */
function settle(options: NodeOptions): Settings {
  const { listen = DEFAULT_LISTEN, announce = [], bootstrap = [] } = options
  for (const address of bootstrap) readTarget(address)
  for (const address of [...listen, ...announce]) readAddress(address)
  return {
    ...options,
    listen,
    announce,
    bootstrap,
    network: options.network ?? 'main',
    relay: options.relay ?? 'auto',
    portMapping: options.portMapping ?? 'on',
    logger: options.logger ?? silent,
  }
}

function readAddress(address: string): void {
  // Port 0 picks a free one; a peer's address never has it, so the protocols' own reader refuses it.
  if (parseAddress(address.replace(/\/tcp\/0(?=\/|$)/, '/tcp/1'))?.transport === 'tcp') return
  throw new WarrenError('ERR_ADDRESS_INVALID', `"${address}" is not a TCP multiaddr`, {
    remedy: 'write it like /ip4/0.0.0.0/tcp/4001 or /ip6/::/tcp/4001',
  })
}

async function takeDataDir(dataDir: string): Promise<DataDirLock> {
  await makeDataDir(dataDir)
  return await lockDataDir(dataDir)
}

async function identityOf(options: NodeOptions): Promise<PrivateKey> {
  if (options.identity !== undefined) return privateKeyFromProtobuf(options.identity)
  if (options.dataDir === undefined) return await generateKeyPair('Ed25519')
  return (await loadOrCreateIdentity(options.dataDir)).privateKey
}
