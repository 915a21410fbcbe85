import { join } from 'node:path'
import { rename } from 'node:fs/promises'
import type { OverlayDriver } from '../drivers/overlay.ts'
import { readFileBounded, writeFileAtomic } from '../storage/files.ts'
import type { Logger } from '../types.ts'

/** Often enough to survive a crash with a useful book, seldom enough for a flash card. */
const SAVE_MS = 60_000

/** 1,024 records of at most 1 KiB, and what is noted beside each. */
const MAX_BYTES = 4 << 20

/** Keeps the peer book of a data directory, so that a restarted node can rejoin without bootstraps. */
export class BookKeeper {
  readonly #path: string
  readonly #overlay: OverlayDriver
  readonly #logger: Logger
  #timer: NodeJS.Timeout | undefined
  #saving: Promise<void> = Promise.resolve()

  constructor(dataDir: string, overlay: OverlayDriver, logger: Logger) {
    this.#path = join(dataDir, 'peers.book')
    this.#overlay = overlay
    this.#logger = logger
  }

  /** A book that cannot be read is put aside, not deleted; the node starts without. */
  async restore(): Promise<void> {
    try {
      const bytes = await readFileBounded(this.#path, MAX_BYTES)
      if (bytes === undefined || (await this.#overlay.restore(bytes))) return
      const aside = `${this.#path}.corrupt`
      await rename(this.#path, aside)
      this.#logger.warn({ aside }, 'the peer book could not be read and was put aside')
    } catch (err) {
      this.#logger.warn({ err, path: this.#path }, 'the peer book could not be read')
    }
  }

  start(): void {
    this.#timer = setInterval(() => this.#save(), SAVE_MS).unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#save()
    await this.#saving
  }

  #save(): void {
    this.#saving = this.#saving
      .then(() => writeFileAtomic(this.#path, this.#overlay.snapshot()))
      .catch((err: unknown) => this.#logger.warn({ err }, 'the peer book could not be saved'))
  }
}
