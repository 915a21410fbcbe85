/**
 * Outlives a laboratory and removes it. Its stdin is a pipe that only the laboratory's process holds: however that
 * process ends, the pipe closes.
 */
import { sweep } from './sweep.ts'

const [prefix] = process.argv.slice(2)
if (prefix === undefined) throw new Error('usage: watchdog.ts PREFIX')
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.stdin.resume()
process.stdin.once('close', () => void sweep(prefix))
