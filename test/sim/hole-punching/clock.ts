/** Something that will happen; calling it off costs nothing. */
export interface Alarm {
  at: number
  order: number
  run: (() => void) | undefined
}

/** Virtual time: whatever is due happens in order, and nothing waits. */
export class Clock {
  now = 0
  readonly #heap: Alarm[] = []
  #order = 0

  after(ms: number, run: () => void): Alarm {
    const alarm: Alarm = { at: this.now + Math.max(0, ms), order: this.#order++, run }
    this.#heap.push(alarm)
    this.#rise(this.#heap.length - 1)
    return alarm
  }

  callOff(alarm: Alarm | undefined): void {
    if (alarm !== undefined) alarm.run = undefined
  }

  /** Lets time pass until it is so, nothing is left to happen, or `ms` are over. */
  runUntil(isSo: () => boolean, ms: number): void {
    const end = this.now + ms
    while (!isSo()) {
      const next = this.#heap[0]
      if (next === undefined || next.at > end) {
        this.now = end
        return
      }
      this.#pop()
      if (next.run === undefined) continue
      this.now = next.at
      next.run()
    }
  }

  #pop(): void {
    const last = this.#heap.pop() as Alarm
    if (this.#heap.length === 0) return
    this.#heap[0] = last
    this.#sink()
  }

  #rise(from: number): void {
    for (let i = from; i > 0;) {
      const parent = (i - 1) >> 1
      if (!this.#swapIfBefore(i, parent)) return
      i = parent
    }
  }

  #sink(): void {
    for (let i = 0; ;) {
      const [left, right] = [2 * i + 1, 2 * i + 2]
      let least = i
      if (left < this.#heap.length && this.#isBefore(left, least)) least = left
      if (right < this.#heap.length && this.#isBefore(right, least)) least = right
      if (least === i) return
      this.#swapIfBefore(least, i)
      i = least
    }
  }

  #isBefore(i: number, j: number): boolean {
    const [a, b] = [this.#heap[i] as Alarm, this.#heap[j] as Alarm]
    return a.at < b.at || (a.at === b.at && a.order < b.order)
  }

  #swapIfBefore(i: number, j: number): boolean {
    if (!this.#isBefore(i, j)) return false
    const [a, b] = [this.#heap[i] as Alarm, this.#heap[j] as Alarm]
    this.#heap[i] = b
    this.#heap[j] = a
    return true
  }
}
