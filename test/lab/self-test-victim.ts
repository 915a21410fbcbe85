/** A laboratory with a running program, made to be killed by the self-test. */
import { Lab } from './lab.ts'

const lab = await Lab.create()
const host = await lab.natHost('doomed', 'port')
const sleeper = host.spawn([process.execPath, '-e', 'console.log(1); setInterval(() => {}, 1000)'])
sleeper.lines.once('line', () => console.log(lab.prefix))
