import type { Settings } from '../config/load.ts'
import type { NodeOptions } from '../types.ts'

/** What the settings say about a node, but where it keeps things. */
export function nodeOptions(settings: Settings): NodeOptions {
  const { listen, announce, bootstrap, network, relay, 'network-key': networkKey } = settings
  const portMapping = settings['port-mapping']
  return {
    ...(listen && { listen }),
    ...(announce && { announce }),
    ...(bootstrap && { bootstrap }),
    ...(network && { network }),
    ...(relay && { relay }),
    ...(portMapping && { portMapping }),
    ...(networkKey && { networkKey }),
  }
}
