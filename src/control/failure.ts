import { WarrenError } from '../../protocols/kernel/errors.ts'
import type { ErrorCode } from '../../protocols/kernel/errors.ts'
import type { ApiErrorCode, ErrorBody } from './schema.ts'

/** An error of the API itself, with the status it is answered with. */
export class ApiFailure extends Error {
  readonly code: ApiErrorCode
  readonly status: number
  readonly remedy: string | undefined

  constructor(status: number, code: ApiErrorCode, message: string, remedy?: string) {
    super(message)
    this.name = 'ApiFailure'
    this.status = status
    this.code = code
    this.remedy = remedy
  }
}

/** 4xx: the caller can do better; 502 and 504: another peer could not; 503: this node cannot now. */
const STATUS: Record<ErrorCode, number> = {
  ERR_CONFIG_INVALID: 400,
  ERR_ADDRESS_INVALID: 400,
  ERR_PEER_INVALID: 400,
  ERR_IDENTITY_UNREADABLE: 500,
  ERR_DATA_DIR_IN_USE: 409,
  ERR_PORT_IN_USE: 409,
  ERR_LISTEN_FAILED: 422,
  ERR_PEER_UNKNOWN: 404,
  ERR_PEER_UNREACHABLE: 502,
  ERR_NO_DIRECT_PATH: 502,
  ERR_SERVICE_REFUSED: 403,
  ERR_SERVICE_UNKNOWN: 404,
  ERR_SERVICE_UNAVAILABLE: 502,
  ERR_NAME_TAKEN: 409,
  ERR_PROTOCOL_UNSUPPORTED: 502,
  ERR_PROTOCOL_VIOLATION: 502,
  ERR_STREAM_LOST: 502,
  ERR_LIMIT_REACHED: 429,
  ERR_TIMEOUT: 504,
  ERR_NODE_STOPPED: 503,
}

/** The status and body that an error is answered with. Defects show no message: it may hold secrets. */
export function answerTo(error: unknown): { status: number; body: ErrorBody } {
  if (error instanceof ApiFailure) return answer(error.status, error)
  const code = (error as { code?: unknown }).code
  if (error instanceof WarrenError || (typeof code === 'string' && code in STATUS))
    return answer(STATUS[code as ErrorCode], error as WarrenError)
  const status = (error as { statusCode?: unknown }).statusCode
  if (typeof status === 'number' && status >= 400 && status < 500)
    return answer(status, new ApiFailure(status, 'ERR_REQUEST_INVALID', (error as Error).message))
  const text = 'the node could not answer because of a defect'
  return answer(500, new ApiFailure(500, 'ERR_INTERNAL', text, "The node's log says more."))
}

type Known = Pick<WarrenError, 'code' | 'message' | 'remedy'> | ApiFailure

function answer(status: number, error: Known): { status: number; body: ErrorBody } {
  const detail = { ...('detail' in error ? (error as WarrenError).detail : {}) }
  const { code, message, remedy } = error
  return {
    status,
    body: { code, message, detail: remedy === undefined ? detail : { ...detail, remedy } },
  }
}
