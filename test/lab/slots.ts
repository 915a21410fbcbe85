/** Plays cells in several laboratories side by side, so that a whole matrix takes minutes. */
import { untried, type Cell, type CellOptions, type Try } from './cell.ts'
import { Lab } from './lab.ts'
import { needsIPv6 } from './matrix.ts'
import { playTry, type Field } from './play.ts'
import { startRelays } from './world.ts'

/**
 * Tries played in one laboratory. Building one and starting its relays takes two seconds; but relays remember the peers
 * of tries past, A hears of them and dials the dead, and that must not grow into a part of what is measured.
 */
const TRIES_A_LAB = 12

/** A hiccup of the machine is worth a new laboratory; when that fails too, the rest of the matrix would be no better. */
const MOST_FAILURES = 1

/** Told of every try as it ends. */
export type Progress = (cell: Cell, number: number, result: Try) => void

interface Task {
  cell: Cell
  number: number
}

/** Plays each cell as often as the options say; the results come in the order of the cells. */
export async function playCells(
  cells: readonly Cell[],
  options: CellOptions,
  progress: Progress,
): Promise<Try[][]> {
  const results = cells.map((): Try[] => [])
  const tasks = tasksOf(cells, options.tries)
  const work = async (): Promise<void> => {
    await using slot = new Slot(options)
    for (const { cell, number } of tasks) {
      const result = await slot.play(cell, number)
      results[cells.indexOf(cell)]?.push(result)
      progress(cell, number, result)
    }
  }
  await Promise.all(Array.from({ length: options.parallel }, work))
  return results
}

/** All tries, from which every slot takes the next one. */
function* tasksOf(cells: readonly Cell[], tries: number): Generator<Task> {
  for (const cell of cells) for (let number = 1; number <= tries; number++) yield { cell, number }
}

/** One laboratory at a time, replaced after some tries or when a cell needs another one. */
class Slot implements AsyncDisposable {
  readonly #options: CellOptions
  #field: Field | undefined
  #ipv6 = false
  #played = 0
  /** In a row. */
  #failures = 0

  constructor(options: CellOptions) {
    this.#options = options
  }

  async play(cell: Cell, number: number): Promise<Try> {
    try {
      const field = await this.#fieldFor(needsIPv6(cell))
      this.#failures = 0
      this.#played += 1
      return await playTry(field, cell, this.#played, this.#options)
    } catch (error) {
      // Not the cell has failed but what it stands on; the next try gets new ground.
      await this[Symbol.asyncDispose]()
      this.#failures += 1
      if (this.#failures > MOST_FAILURES) throw error
      const reason = error instanceof Error ? error.message : String(error)
      return { ...untried(), failure: `the laboratory failed at try ${number}: ${reason}` }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const field = this.#field
    this.#field = undefined
    await field?.lab.close()
  }

  async #fieldFor(ipv6: boolean): Promise<Field> {
    const worn = this.#played >= TRIES_A_LAB || this.#ipv6 !== ipv6
    if (this.#field !== undefined && !worn) return this.#field
    await this.#field?.lab.close()
    this.#field = undefined
    this.#played = 0
    this.#ipv6 = ipv6
    const { rttMs, jitterMs, lossPercent, rangeSeed } = this.#options
    const lab = await Lab.create({ rttMs, jitterMs, lossPercent, rangeSeed, ipv6 })
    // Known before the relays run, so that it is removed if they do not.
    try {
      this.#field = { lab, relays: await startRelays(lab) }
    } catch (error) {
      await lab.close()
      throw error
    }
    return this.#field
  }
}
