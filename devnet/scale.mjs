// SCALE, as far as the chain itself has to read and write it.
import { u8aToHex } from '@polkadot/util'

export class ScaleError extends Error {}

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

// Compact<u32>.
export function compact(value) {
  if (value < 1 << 6) return Uint8Array.of(value << 2)
  if (value < 1 << 14) return Uint8Array.of(((value << 2) | 1) & 0xff, value >>> 6)
  if (value < 1 << 30) {
    const word = value * 4 + 2
    return Uint8Array.of(word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, (word >>> 24) & 0xff)
  }
  return Uint8Array.of(3, value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff)
}

// An unsigned integer of `size` bytes, little-endian; `value` may be a bigint.
export function unsigned(value, size) {
  let rest = BigInt(value)
  return Uint8Array.from({ length: size }, () => {
    const byte = Number(rest & 255n)
    rest >>= 8n
    return byte
  })
}

// Bytes behind their length.
export const sized = (bytes) => concat(compact(bytes.length), bytes)

// Reads one value after another. Throws a ScaleError where the bytes end too early.
export class Reader {
  #bytes
  #at = 0

  constructor(bytes) {
    this.#bytes = bytes
  }

  take(length) {
    if (this.#at + length > this.#bytes.length) throw new ScaleError(`${length} bytes are missing at ${this.#at}`)
    return this.#bytes.subarray(this.#at, (this.#at += length))
  }

  u8() {
    return this.take(1)[0]
  }

  u32() {
    return Number(this.unsigned(4))
  }

  // An unsigned integer of `size` bytes, as a bigint.
  unsigned(size) {
    return this.take(size).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)
  }

  // A compact integer, as a bigint.
  big() {
    const first = this.u8()
    const mode = first & 3
    if (mode === 3) return this.unsigned((first >>> 2) + 4)
    return (
      this.take((1 << mode) - 1).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n) * 64n + BigInt(first >>> 2)
    )
  }

  compact() {
    return Number(this.big())
  }

  sized() {
    return this.take(this.compact())
  }

  text() {
    return Buffer.from(this.sized()).toString()
  }

  // `count` values, each read by `one`.
  list(one, count = this.compact()) {
    const values = []
    while (values.length < count) values.push(one(this))
    return values
  }

  get rest() {
    return this.#bytes.subarray(this.#at)
  }
}

// ---- headers --------------------------------------------------------------------------------

const DIGEST_RUNTIME = 8 // the one item of a digest without content

// A header's SCALE, as hexadecimal; `logs` are the digest's items, encoded.
export function encodeHeader({ parentHash, number, stateRoot, extrinsicsRoot, logs = [] }) {
  const fixed = [parentHash, stateRoot, extrinsicsRoot].map((hex) => Buffer.from(hex.slice(2), 'hex'))
  return u8aToHex(concat(fixed[0], compact(number), fixed[1], fixed[2], compact(logs.length), ...logs))
}

// The shape of chain_getHeader.
export function headerJson(hex) {
  const reader = new Reader(Buffer.from(hex.slice(2), 'hex'))
  const hash = () => u8aToHex(reader.take(32))
  return {
    parentHash: hash(),
    number: `0x${reader.compact().toString(16)}`,
    stateRoot: hash(),
    extrinsicsRoot: hash(),
    digest: { logs: reader.list(digestItem) },
  }
}

function digestItem(reader) {
  const kind = reader.u8()
  if (kind === DIGEST_RUNTIME) return u8aToHex(Uint8Array.of(kind))
  const engine = kind === 0 ? new Uint8Array() : reader.take(4) // DigestItem::Other has none
  return u8aToHex(concat(Uint8Array.of(kind), engine, sized(reader.sized())))
}
