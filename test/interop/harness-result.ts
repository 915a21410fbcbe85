/** Reads a dialer's stdout as the harnesses do. */
import type { RouterImage } from './harness-network.ts'

/** The round trip that the dialer measured; throws when the harness would not have understood it. */
export function readResult(image: RouterImage, stdout: readonly string[]): { rttMs: number } {
  const rttMs = image === 'test-plans' ? fromJson(stdout) : fromYaml(stdout)
  if (!Number.isFinite(rttMs) || rttMs <= 0)
    throw new Error(`the harness would find no result in: ${stdout.join('\\n')}`)
  return { rttMs }
}

/** The last line of stdout is the result. */
function fromJson(stdout: readonly string[]): number {
  const result: unknown = JSON.parse(stdout.at(-1) ?? 'null')
  return Number((result as Record<string, unknown> | null)?.rtt_to_holepunched_peer_millis)
}

/** The harness greps these very lines, indentation included, out of everything else. */
const YAML_LINE = /^(latency:|  (handshake_plus_one_rtt|ping_rtt|unit):.*)$/

function fromYaml(stdout: readonly string[]): number {
  const lines = stdout.filter((line) => YAML_LINE.test(line))
  const read = (name: string) =>
    lines.find((line) => line.startsWith(`  ${name}: `))?.split(': ')[1]
  const complete = lines[0] === 'latency:' && read('unit') === 'ms'
  const handshake = Number(read('handshake_plus_one_rtt'))
  return complete && handshake > 0 ? Number(read('ping_rtt')) : Number.NaN
}
