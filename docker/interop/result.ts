/** How each harness wants to hear of a hole that was punched. */
import { BlockList } from 'node:net'
import type { Harness } from './settings.ts'

/** The lines for stdout. */
export function resultText(
  harness: Harness,
  measured: { directMs: number; rttMs: number },
): string {
  const { directMs, rttMs } = measured
  if (harness === 'test-plans')
    return `${JSON.stringify({ rtt_to_holepunched_peer_millis: Math.round(rttMs) })}\n`
  return [
    'latency:',
    `  handshake_plus_one_rtt: ${(directMs + rttMs).toFixed(2)}`,
    `  ping_rtt: ${rttMs.toFixed(2)}`,
    '  unit: ms',
    '',
  ].join('\n')
}

/** Whether an IPv4 address is of a network in CIDR notation. */
export function isWithin(ip: string, network: string): boolean {
  const [base = '', bits = ''] = network.split('/')
  const list = new BlockList()
  list.addSubnet(base, Number(bits), 'ipv4')
  return list.check(ip, 'ipv4')
}
