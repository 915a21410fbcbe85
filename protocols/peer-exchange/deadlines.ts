import type { Alarms } from '../kernel/alarms.ts'

/** What is to be done at a time, by whichever part set it. */
export type Alarm =
  | 'publish'
  | 'refresh'
  | 'signing'
  | 'pull'
  | 'push'
  | 'sweep'
  | 'renew'
  /** About a peer, a question of ours and a search. */
  | 'greet'
  | 'ask'
  | 'find'

/** One set for all parts: what is due at the same time is done in one order, whoever set it. */
export type Deadlines = Alarms<Alarm>
