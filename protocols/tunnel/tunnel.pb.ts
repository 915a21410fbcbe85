// Generated from tunnel.proto by tools/protos.ts.
// @ts-nocheck
import { decodeMessage, encodeMessage, message } from 'protons-runtime'
import type { Codec, DecodeOptions } from 'protons-runtime'
import type { Uint8ArrayList } from 'uint8arraylist'

// protons asks for a streaming decoder too.
function * noStreaming (): Generator<never> {
  throw new Error('streaming decoders are not generated')
}

export interface Open {
  version: number
  flags: number
  service: string
}

let codecOfOpen: Codec<Open, Open>

export const Open = {
  codec: (): Codec<Open, Open> => {
    if (codecOfOpen == null) {
      codecOfOpen = message<Open, Open>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.version != null && obj.version !== 0)) {
          w.uint32(8)
          w.uint32(obj.version)
        }

        if ((obj.flags != null && obj.flags !== 0)) {
          w.uint32(16)
          w.uint32(obj.flags)
        }

        if ((obj.service != null && obj.service !== '')) {
          w.uint32(26)
          w.string(obj.service)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          version: 0,
          flags: 0,
          service: ''
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.version = reader.uint32()
              break
            }
            case 2: {
              obj.flags = reader.uint32()
              break
            }
            case 3: {
              obj.service = reader.string()
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      }, noStreaming)
    }

    return codecOfOpen
  },

  encode (obj: Partial<Open>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, Open.codec())
  },

  decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Open>): Open {
    return decodeMessage(buf, Open.codec(), opts)
  },
}

export interface Answer {
  version: number
  opened?: Opened
  refused?: Refused
}

let codecOfAnswer: Codec<Answer, Answer>

export const Answer = {
  codec: (): Codec<Answer, Answer> => {
    if (codecOfAnswer == null) {
      codecOfAnswer = message<Answer, Answer>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        obj = { ...obj }

        if (obj.refused != null) {
          obj.opened = undefined
        }

        if (obj.opened != null) {
          obj.refused = undefined
        }

        if ((obj.version != null && obj.version !== 0)) {
          w.uint32(8)
          w.uint32(obj.version)
        }

        if (obj.opened != null) {
          w.uint32(18)
          Opened.codec().encode(obj.opened, w)
        }

        if (obj.refused != null) {
          w.uint32(26)
          Refused.codec().encode(obj.refused, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          version: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.version = reader.uint32()
              break
            }
            case 2: {
              obj.opened = Opened.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.opened
              })
              break
            }
            case 3: {
              obj.refused = Refused.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.refused
              })
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        if (obj.refused != null) {
          delete obj.opened
        }

        if (obj.opened != null) {
          delete obj.refused
        }

        return obj
      }, noStreaming)
    }

    return codecOfAnswer
  },

  encode (obj: Partial<Answer>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, Answer.codec())
  },

  decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Answer>): Answer {
    return decodeMessage(buf, Answer.codec(), opts)
  },
}

export interface Opened {
  flags: number
}

let codecOfOpened: Codec<Opened, Opened>

export const Opened = {
  codec: (): Codec<Opened, Opened> => {
    if (codecOfOpened == null) {
      codecOfOpened = message<Opened, Opened>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.flags != null && obj.flags !== 0)) {
          w.uint32(8)
          w.uint32(obj.flags)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          flags: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.flags = reader.uint32()
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      }, noStreaming)
    }

    return codecOfOpened
  },

  encode (obj: Partial<Opened>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, Opened.codec())
  },

  decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Opened>): Opened {
    return decodeMessage(buf, Opened.codec(), opts)
  },
}

export interface Refused {
  code: number
  message: string
}

let codecOfRefused: Codec<Refused, Refused>

export const Refused = {
  codec: (): Codec<Refused, Refused> => {
    if (codecOfRefused == null) {
      codecOfRefused = message<Refused, Refused>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.code != null && obj.code !== 0)) {
          w.uint32(8)
          w.uint32(obj.code)
        }

        if ((obj.message != null && obj.message !== '')) {
          w.uint32(18)
          w.string(obj.message)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          code: 0,
          message: ''
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.code = reader.uint32()
              break
            }
            case 2: {
              obj.message = reader.string()
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      }, noStreaming)
    }

    return codecOfRefused
  },

  encode (obj: Partial<Refused>): Uint8Array<ArrayBuffer> {
    return encodeMessage(obj, Refused.codec())
  },

  decode (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Refused>): Refused {
    return decodeMessage(buf, Refused.codec(), opts)
  },
}
