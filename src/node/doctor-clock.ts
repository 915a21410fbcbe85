import type { DoctorCheck } from '../types.ts'

/** Years in which no clock can honestly be. */
const BUILT = 2026

/** Less is no matter: greetings are read to a second, and the slowest paths take some. */
const NOTABLE_MS = 60_000

/** What peers vouch for each other with is refused from here on (nat-probe), records at twice this (peer-exchange). */
const HARMFUL_MS = 300_000

/** One that differs may be wrong itself, of two either may; with three the one in the middle is believed. */
const WITNESSES = 3

/** The host's clock, by how far those of peers are ahead of it. */
export function clock(now: number, ahead: readonly number[]): DoctorCheck {
  const check = { code: 'host.clock', title: 'Clock' }
  const time = new Date(now).toISOString().slice(0, 19)
  const remedy = 'set the clock (NTP)'
  if (new Date(now).getUTCFullYear() < BUILT) {
    const meaning = 'records signed now look long expired to others'
    return { ...check, result: 'problem', text: `it says ${time}Z`, meaning, remedy }
  }
  const off = middle(ahead)
  if (off === undefined)
    return { ...check, result: 'ok', text: `it says ${time}Z; no peer to compare it with` }
  const peers = `${ahead.length} ${ahead.length === 1 ? 'peer' : 'peers'}`
  if (Math.abs(off) < NOTABLE_MS)
    return { ...check, result: 'ok', text: `it says ${time}Z, within a minute of ${peers}` }
  const text = `it says ${time}Z, ${spanOf(off)} ${off > 0 ? 'behind' : 'ahead of'} ${peers}`
  const sure = ahead.length >= WITNESSES
  const harmful = Math.abs(off) >= HARMFUL_MS
  return {
    ...check,
    result: sure && harmful ? 'problem' : 'warning',
    text: sure ? text : `${text}: one of them is wrong`,
    meaning: harmful
      ? 'peers do not believe what carries a time so far from theirs: records, and probes of the NAT'
      : 'at five minutes and more peers do not believe what carries a time of this node',
    remedy,
  }
}

/** The middle one, of an even number the one nearer to none. */
function middle(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  if (low === undefined || high === undefined) return undefined
  return Math.abs(low) < Math.abs(high) ? low : high
}

function spanOf(ms: number): string {
  const seconds = Math.round(Math.abs(ms) / 1000)
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`
}
