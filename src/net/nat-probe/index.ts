/** Sockets that show how a router maps ports and whom it lets in. */
export { connectFrom, FreshPort } from './fresh-port.ts'
export { openSamplePort } from './sample-port.ts'
export type { SamplePortOptions } from './sample-port.ts'
