/** Milliseconds on the caller's clock. Only differences and comparisons mean anything. */
export type Instant = number

/**
 * A decision maker: inputs and the time go in, what should be done comes out. It holds no socket, no
 * timer and no clock; whoever drives it calls `step` for every input and again, with `{type: 'tick'}`,
 * when the time of `nextWake` has come.
 */
export interface Machine<Input, Output> {
  step(input: Input, now: Instant): readonly Output[]
  /** When `step` must be called next even if nothing happens; undefined when only input can wake it. */
  nextWake(): Instant | undefined
}

/** The input every machine takes: time has passed. */
export interface Tick {
  type: 'tick'
}
