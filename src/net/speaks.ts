import type { PeerId, PeerStore } from '@libp2p/interface'

/** Whether the peer has said, in identify or by using it with us, that it speaks the protocol. */
export async function speaks(
  peerStore: PeerStore,
  peer: PeerId,
  protocol: string,
): Promise<boolean> {
  if (!(await peerStore.has(peer))) return false
  return (await peerStore.get(peer)).protocols.includes(protocol)
}
