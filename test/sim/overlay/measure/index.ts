/** What scenarios measure with. */
export { joins, type Joiners } from './joins.ts'
export { componentOf, measure, Series } from './measure.ts'
export { spread } from './spread.ts'
export { trafficFrom } from './traffic.ts'
