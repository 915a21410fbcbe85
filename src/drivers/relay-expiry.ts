/** An abort signal whose time can be moved; the shape the stock relay server expects. */
export interface ExpirySignal extends AbortSignal {
  reset(ms?: number): void
  clear(): void
}

/** Aborts, and calls `onExpired`, when its time passes without a `reset`. */
export function expirySignal(ms: number, onExpired: () => void): ExpirySignal {
  const controller = new AbortController()
  let alarm: NodeJS.Timeout | undefined
  const clear = (): void => clearTimeout(alarm)
  const reset = (again = ms): void => {
    clear()
    alarm = setTimeout(() => {
      onExpired()
      controller.abort(new Error('the reservation has expired'))
    }, again)
    alarm.unref()
  }
  reset()
  return Object.assign(controller.signal, { reset, clear })
}
