/** The scenarios by name. */
import { crowd } from './crowd.ts'
import { examples } from './examples.ts'
import { facts } from './facts.ts'
import { mapped } from './mapped.ts'
import { fallback, interfaceChange, rehome, survive } from './moves.ts'
import { overlay } from './overlay.ts'
import { published } from './published.ts'
import { relayLoss } from './relays.ts'
import { bigTransfer, smallSwarm, type Note } from './scenarios.ts'

/** What plays a scenario; `limits` says whether times are judged or only printed. */
export type Scenario = (rttMs: number, note: Note, limits: boolean) => Promise<void>

export const SCENARIOS = {
  big: { title: '100 MB directly, and again while a relay is killed', play: bigTransfer },
  start: { title: 'one bootstrap and two hidden nodes start at once', play: smallSwarm },
  examples: { title: 'the programs under examples/ behind two NATs', play: examples },
  survive: { title: 'a download moves from a relay to a direct path', play: survive },
  fallback: { title: 'a direct path dies under a download, and comes back', play: fallback },
  rehome: { title: "the router's address changes under a download", play: rehome },
  mapped: { title: 'a router that opens a port on demand, and others that lie', play: mapped },
  published: { title: 'ports that an operator publishes, or thinks he does', play: published },
  relays: { title: 'relays die, restart and swallow; all bootstraps are gone', play: relayLoss },
  interface: { title: "a host's interface changes under a download", play: interfaceChange },
  overlay: {
    title: 'a dozen nodes behind many NATs outlive bootstraps and half of all',
    play: overlay,
  },
  crowd: { title: 'fifty nodes lose most of their relays at once (by hand: 8 GB)', play: crowd },
  facts: {
    title: 'a node finds out what its NAT does, with one, two and four helpers',
    play: facts,
  },
} as const satisfies Record<string, { title: string; play: Scenario }>

export type ScenarioName = keyof typeof SCENARIOS

export const SCENARIO_NAMES = Object.keys(SCENARIOS) as ScenarioName[]
