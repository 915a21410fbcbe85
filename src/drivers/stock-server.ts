import type {
  circuitRelayServer,
  CircuitRelayServerComponents,
  RelayReservation,
} from '@libp2p/circuit-relay-v2'
import { SERVING_LIMITS } from '../../protocols/relaying/limits.ts'
import { expirySignal } from './relay-expiry.ts'

/** The stock relay server; starting and stopping are missing from its type. */
export type StockServer = ReturnType<ReturnType<typeof circuitRelayServer>> & {
  start(): Promise<void>
  stop(): Promise<void>
}

/**
 * The stock server's expiry signals cannot be reset twice (an older alarm still fires and ends a
 * renewed reservation and its circuits), so every new reservation gets one that can.
 */
export function repairExpiry(reservations: StockServer['reservations']): void {
  const set = reservations.set.bind(reservations)
  const repaired = new WeakSet<RelayReservation>()
  reservations.set = (peer, reservation) => {
    if (!repaired.has(reservation)) {
      repaired.add(reservation)
      reservation.signal.clear()
      reservation.signal = expirySignal(SERVING_LIMITS.reservationTtlMs, () => {
        if (reservations.get(peer) === reservation) reservations.delete(peer)
      })
    }
    reservation.expiry = new Date(Date.now() + SERVING_LIMITS.reservationTtlMs)
    return set(peer, reservation)
  }
}

/** libp2p's components are a proxy themselves and cannot be spread. */
export function pick(components: CircuitRelayServerComponents): CircuitRelayServerComponents {
  const { registrar, peerStore, addressManager, peerId, privateKey } = components
  const { connectionManager, connectionGater, logger } = components
  return {
    registrar,
    peerStore,
    addressManager,
    peerId,
    privateKey,
    connectionManager,
    connectionGater,
    logger,
  }
}
