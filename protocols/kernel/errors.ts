/** Every failure thrown on purpose, by stable code. Branch on `code`, never on the message. */
export type ErrorCode =
  | 'ERR_CONFIG_INVALID' // an option has a value that cannot work
  | 'ERR_ADDRESS_INVALID' // a multiaddr or host:port that cannot be read
  | 'ERR_PEER_INVALID' // a peer id that cannot be read
  | 'ERR_IDENTITY_UNREADABLE' // the key file exists and cannot be used
  | 'ERR_DATA_DIR_IN_USE' // another node runs on the same data directory
  | 'ERR_PORT_IN_USE' // the listening port belongs to somebody else
  | 'ERR_LISTEN_FAILED' // the address cannot be listened on for another reason
  | 'ERR_PEER_UNKNOWN' // nobody we asked knows an address of that peer
  | 'ERR_PEER_UNREACHABLE' // every address was tried in vain
  | 'ERR_NO_DIRECT_PATH' // a direct path was demanded and could not be made
  | 'ERR_SERVICE_REFUSED' // the peer does not let us use that service
  | 'ERR_SERVICE_UNKNOWN' // the peer offers no service of that name
  | 'ERR_SERVICE_UNAVAILABLE' // the peer offers it, but cannot reach it itself
  | 'ERR_NAME_TAKEN' // a service or forward of that name exists already
  | 'ERR_PROTOCOL_UNSUPPORTED' // the peer does not speak that protocol
  | 'ERR_PROTOCOL_VIOLATION' // the peer sent something no correct peer sends
  | 'ERR_STREAM_LOST' // a stream broke off before everything had arrived
  | 'ERR_LIMIT_REACHED' // a stated bound was met
  | 'ERR_TIMEOUT' // a stated deadline passed
  | 'ERR_NODE_STOPPED' // the node is not running any more

/** An error with a stable code and, where one exists, what to do about it. */
export class WarrenError extends Error {
  readonly code: ErrorCode
  readonly remedy: string | undefined
  readonly detail: Readonly<Record<string, unknown>>

  constructor(
    code: ErrorCode,
    message: string,
    options: { remedy?: string; cause?: unknown; detail?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'WarrenError'
    this.code = code
    this.remedy = options.remedy
    this.detail = options.detail ?? {}
  }
}
