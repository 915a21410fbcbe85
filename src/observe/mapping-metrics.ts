import { Counter } from 'prom-client'
import type { Registry } from 'prom-client'
import type { Outcome, Protocol, Task } from '../../protocols/port-mapping/way.ts'

/** Where the numbers come from. */
export interface MappingSource {
  onNews(
    listener: (news: { protocol: Protocol; task: Task['do']; outcome: Outcome }) => void,
  ): () => void
}

/** Counts what the router answered. Returns how to stop. */
export function countMappings(registry: Registry, source: MappingSource): () => void {
  const requests = new Counter({
    name: 'warren_port_mapping_requests_total',
    help: 'What the router was asked, and what came of it',
    labelNames: ['protocol', 'task', 'outcome'] as const,
    registers: [registry],
  })
  return source.onNews(({ protocol, task, outcome }) =>
    requests.inc({ protocol, task, outcome: outcome.type }),
  )
}
