import type { Logger } from '../types.ts'

const nothing = (): void => {}

/** What a node logs to when it is given no logger: the events say what matters. */
export const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }
