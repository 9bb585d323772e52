// Bytes, and the few ways to write them.

const PAIRS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

export function hex(data: Uint8Array): string {
  let out = ''
  for (const byte of data) out += PAIRS[byte]
  return out
}

export const hex0x = (data: Uint8Array): string => `0x${hex(data)}`

/** Hexadecimal without `0x`. Throws for anything else. */
export function unhex(text: string): Uint8Array {
  if (text.length % 2 || !/^[0-9a-fA-F]*$/.test(text)) throw new Error('is not hexadecimal')
  const out = new Uint8Array(text.length / 2)
  for (let i = 0; i < out.length; i++) out[i] = (digit(text, 2 * i) << 4) | digit(text, 2 * i + 1)
  return out
}

/** The value of a digit that is one: a letter's low bits count from 1. */
function digit(text: string, at: number): number {
  const code = text.charCodeAt(at)
  return code < 0x40 ? code - 0x30 : (code & 0xf) + 9
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

const DECODER = new TextDecoder('utf-8', { fatal: true })

/** UTF-8 to text. Throws for what is not UTF-8. */
export const text = (data: Uint8Array): string => DECODER.decode(data)

/** Little-endian, `width` bytes. */
export function little(value: number, width: number): Uint8Array {
  const out = new Uint8Array(width)
  for (let i = 0, rest = BigInt(value); i < width; i++, rest >>= 8n) out[i] = Number(rest & 255n)
  return out
}

export const bigEndian = (data: Uint8Array): bigint => (data.length ? BigInt(hex0x(data)) : 0n)

/** Bytes from the front. Throws where they end too early. */
export class Reader {
  private at = 0

  constructor(private readonly data: Uint8Array) {}

  get left(): number {
    return this.data.length - this.at
  }

  take(count: number): Uint8Array {
    if (count > this.left) throw new Error('bytes are missing')
    this.at += count
    return this.data.subarray(this.at - count, this.at)
  }

  unsigned(width: 1 | 2 | 3 | 4): number {
    if (width > this.left) throw new Error('bytes are missing')
    let value = 0
    for (let i = width - 1; i >= 0; i--) value = value * 256 + (this.data[this.at + i] as number)
    this.at += width
    return value
  }

  /** An integer of 64 bits. */
  long(): bigint {
    return this.take(8).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)
  }

  /** A Compact length of at most `limit`, in its shortest form (SCALE). */
  count(limit: number): number {
    const value = this.compact()
    if (value > limit || value > this.left) {
      throw new Error('a length is above its bound, or above the bytes that are left')
    }
    return value
  }

  /** A Compact integer below 2^53, in its shortest form. */
  compact(): number {
    const first = this.unsigned(1)
    const mode = first & 3
    let value: number
    if (mode === 0) value = first >> 2
    else if (mode === 3) {
      const rest = this.take((first >> 2) + 4)
      value = rest.reduceRight((sum, byte) => sum * 256 + byte, 0)
      if (value < 2 ** 30 || rest.at(-1) === 0) throw new Error('a length is not in its shortest form')
    } else {
      value = this.unsigned(mode === 1 ? 1 : 3) * 64 + (first >> 2)
      if (value < (mode === 1 ? 2 ** 6 : 2 ** 14)) throw new Error('a length is not in its shortest form')
    }
    if (!Number.isSafeInteger(value)) throw new Error('a number is above its bound')
    return value
  }
}
