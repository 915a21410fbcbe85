import { UnsupportedProtocolError } from '@libp2p/interface'
import type { AbstractMessageStream } from '@libp2p/utils'
import { agreementOn, ExpectedAnswer } from './agreement.ts'

/**
 * Takes the peer's agreement to `protocol` off what arrives, and aborts when the peer says anything else. Every
 * stream and raw connection of libp2p hands what it receives to its own `onData`, so that method is shadowed until
 * the answer is complete, and costs nothing from then on. `settled` is called once, either way.
 */
export function stripAnswer(
  stream: AbstractMessageStream,
  protocol: string,
  settled: () => void = () => {},
): void {
  const answer = new ExpectedAnswer(agreementOn(protocol))
  stream.onData = (data) => {
    const verdict = answer.take(data)
    if (verdict === 'incomplete') return
    unshadow(stream, 'onData')
    settled()
    if (verdict === 'refused') stream.abort(refusal(protocol))
    else stream.onData(verdict)
  }
}

/** Gives a method back to the class it comes from. */
export function unshadow<T extends object>(object: T, method: keyof T): void {
  delete (object as Partial<T>)[method]
}

/** The error that stock negotiation has for this, so that whoever looks at its name finds the same. */
export function refusal(protocol: string): UnsupportedProtocolError {
  return new UnsupportedProtocolError(`The peer did not agree to ${protocol}`)
}
