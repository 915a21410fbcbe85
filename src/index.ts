/**
 * Warren as a library: `createNode` makes a node of the overlay, which finds peers, gets itself reachable, and links
 * to others over the best path there is.
 */
export { createNode } from './node/create-node.ts'
export { WarrenError } from '../protocols/kernel/errors.ts'
export type { ErrorCode } from '../protocols/kernel/errors.ts'
export type * from './types.ts'
