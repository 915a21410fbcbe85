import { Counter } from 'prom-client'
import type { Registry } from 'prom-client'

/** What a node has done for others that wanted to know their NAT. */
export interface ProbeSource {
  stats(): { dials: Readonly<Record<string, number>>; refused: Readonly<Record<string, number>> }
}

/** Numbers about NAT probes; counted elsewhere, and read here when somebody asks. */
export function countProbes(registry: Registry, source: ProbeSource): void {
  const registers = [registry]
  const dials: Counter<'outcome'> = new Counter({
    name: 'warren_nat_probe_dials_total',
    help: 'Dials made for peers that asked to be dialled back',
    labelNames: ['outcome'] as const,
    registers,
    collect: () => {
      dials.reset()
      for (const [outcome, times] of Object.entries(source.stats().dials)) {
        dials.inc({ outcome }, times)
      }
    },
  })
  const refused: Counter<'code'> = new Counter({
    name: 'warren_nat_probe_refused_total',
    help: 'Requests of NAT probes that were refused, by what the asker was told',
    labelNames: ['code'] as const,
    registers,
    collect: () => {
      refused.reset()
      for (const [code, times] of Object.entries(source.stats().refused)) {
        refused.inc({ code }, times)
      }
    },
  })
}
