const INITIAL = 1 << 16

/**
 * What is going to happen, by time and then in the order it was planned. Tens of millions of events go through here, so they
 * are rows of typed arrays and none is an object: `take` leaves the next one in the fields below.
 */
export class EventQueue {
  at = 0
  kind = 0
  a = 0
  b = 0
  ref: unknown = undefined
  taken = 0

  #size = 0
  #planned = 0
  #times = new Float64Array(INITIAL)
  #orders = new Float64Array(INITIAL)
  #rows = new Int32Array(INITIAL)
  #kinds = new Uint8Array(INITIAL)
  #as = new Int32Array(INITIAL)
  #bs = new Int32Array(INITIAL)
  readonly #refs: unknown[] = []
  /** Rows that are free, as a stack; rows above `#used` were never used. */
  #free = new Int32Array(INITIAL)
  #freed = 0
  #used = 0

  get size(): number {
    return this.#size
  }

  /** When the next event is; Infinity without one. */
  next(): number {
    return this.#size === 0 ? Infinity : (this.#times[0] as number)
  }

  push(at: number, kind: number, a: number, b: number, ref: unknown): void {
    if (this.#size === this.#times.length) this.#grow()
    const row = this.#freed > 0 ? (this.#free[--this.#freed] as number) : this.#used++
    this.#kinds[row] = kind
    this.#as[row] = a
    this.#bs[row] = b
    this.#refs[row] = ref
    this.#rise(this.#size++, at, this.#planned++, row)
  }

  take(): boolean {
    if (this.#size === 0) return false
    const row = this.#rows[0] as number
    this.at = this.#times[0] as number
    this.kind = this.#kinds[row] as number
    this.a = this.#as[row] as number
    this.b = this.#bs[row] as number
    this.ref = this.#refs[row]
    this.#refs[row] = undefined
    this.#free[this.#freed++] = row
    this.taken++
    if (--this.#size > 0) this.#sink()
    return true
  }

  #rise(from: number, at: number, order: number, row: number): void {
    const [times, orders, rows] = [this.#times, this.#orders, this.#rows]
    let i = from
    while (i > 0) {
      const parent = (i - 1) >> 1
      // A later order never goes before an equal time, so that equal times keep the order of planning.
      if ((times[parent] as number) <= at) break
      times[i] = times[parent] as number
      orders[i] = orders[parent] as number
      rows[i] = rows[parent] as number
      i = parent
    }
    times[i] = at
    orders[i] = order
    rows[i] = row
  }

  /** Moves the last event into the hole at the top. */
  #sink(): void {
    const [times, orders, rows, size] = [this.#times, this.#orders, this.#rows, this.#size]
    const at = times[size] as number
    const order = orders[size] as number
    const row = rows[size] as number
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= size) break
      if (child + 1 < size && this.#isBefore(child + 1, child)) child++
      const time = times[child] as number
      if (time > at || (time === at && (orders[child] as number) > order)) break
      times[i] = time
      orders[i] = orders[child] as number
      rows[i] = rows[child] as number
      i = child
    }
    times[i] = at
    orders[i] = order
    rows[i] = row
  }

  #isBefore(i: number, j: number): boolean {
    const [a, b] = [this.#times[i] as number, this.#times[j] as number]
    return a < b || (a === b && (this.#orders[i] as number) < (this.#orders[j] as number))
  }

  #grow(): void {
    const size = this.#times.length * 2
    this.#times = copied(new Float64Array(size), this.#times)
    this.#orders = copied(new Float64Array(size), this.#orders)
    this.#rows = copied(new Int32Array(size), this.#rows)
    this.#kinds = copied(new Uint8Array(size), this.#kinds)
    this.#as = copied(new Int32Array(size), this.#as)
    this.#bs = copied(new Int32Array(size), this.#bs)
    this.#free = copied(new Int32Array(size), this.#free)
  }
}

function copied<T extends { set(from: T): void }>(to: T, from: T): T {
  to.set(from)
  return to
}
