/** Finding a port of a symmetric NAT by the birthday paradox: one side probes, the other knocks. */
export { knock } from './knock.ts'
export type { KnockOptions, KnockResult } from './knock.ts'
export { probe } from './probe.ts'
export type { ProbeOptions } from './probe.ts'
