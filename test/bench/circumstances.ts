import { cpus, release } from 'node:os'

/** On what, when and how something was measured: a figure without these is worth nothing. */
export function circumstances(): { text: string; data: object } {
  const all = cpus()
  const data = {
    at: new Date().toISOString(),
    node: process.version,
    kernel: release(),
    cpu: all[0]?.model ?? 'unknown',
    cores: all.length,
    command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
  }
  const { at, node, kernel, cpu, cores, command } = data
  const text = `${at.slice(0, 10)}, Linux ${kernel}, Node ${node}, ${cores} × ${cpu}: ${command}`
  return { text, data }
}
