/** Numbers that stand for peers, and how they are mixed. All arithmetic is in 32 bits. */

/** Spreads every bit over all others: the finalizer of MurmurHash3. */
export function mix32(value: number): number {
  let h = value >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** The low 32 bits. */
export function lowBits(value: number): number {
  return value % 2 ** 32
}

/** The bits above the low 32 of a number of at most 53. */
export function highBits(value: number): number {
  return Math.floor(value / 2 ** 32)
}

/** 32 bits that tell versions of records apart. */
export function fold(id: number, seq: number): number {
  const version = mix32(mix32(lowBits(seq)) ^ highBits(seq))
  return mix32(mix32(lowBits(id) ^ version) ^ highBits(id)) || 1 // 0 is what an empty place holds
}

/** Whether a sequence number with those low bits is ahead of `seq`, by less than 2^31. */
export function isAhead(seqLo: number, seq: number): boolean {
  const ahead = (seqLo - lowBits(seq) + 2 ** 32) % 2 ** 32
  return ahead > 0 && ahead < 2 ** 31
}
