/** Everything that is ever sent to, or heard from, the default gateway. */
export { GatewayDatagrams } from './datagrams.ts'
export { askGateway } from './http.ts'
export { defaultGateway } from './routes.ts'
export type { Gateway } from './routes.ts'
export { GatewaySearch } from './search.ts'
