import type { Endpoint } from './codec.ts'

/**
 * A port of the asker's, by whom it has sent to: the listening one to whomever this node talks to, a mapped one is opened by
 * the router, a fresh one has sent to the helper alone, a silent one to nobody who could answer.
 */
export type Door = 'listening' | 'mapped' | 'fresh' | 'silent'

/** How a helper sees connections of ours: the one that we talk over, and others to a second port of its. */
export interface Sampling {
  seen: Endpoint
  /** From the listening port. */
  listening: Endpoint | undefined
  /** From new ports, in the order in which they were made. */
  fresh: { local: number; seen: Endpoint }[]
}

/** Whose word it is. */
export interface Witness {
  peer: string
  ip: string
  /** Chosen by the operator: in a small overlay its word is enough. */
  trusted: boolean
}

/** What one question to one helper came to. */
export type Finding =
  | { type: 'sampled'; by: Witness; sampling: Sampling }
  /**
   * Somebody got in, which this node has seen itself. `stranger`: from an address to which that port had not sent; `other`:
   * not the helper itself.
   */
  | {
      type: 'reached'
      by: Witness
      door: Door
      other: boolean
      stranger: boolean
      from: string
      /** The port of a mapped door. */
      port?: number
    }
  /** Nobody got in: the helper's word. */
  | { type: 'failed'; by: Witness; door: Door; other: boolean; port?: number }
