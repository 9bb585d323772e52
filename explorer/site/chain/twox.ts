// Substrate's twox hashes: XXH64 with the seeds 0, 1, … one after the other (xxHash specification, XXH64).
import { concat } from '../verify/bytes.js'

const [P1, P2, P3, P4, P5] = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const
const wrap = (x: bigint): bigint => BigInt.asUintN(64, x)
const turn = (x: bigint, bits: bigint): bigint => wrap((x << bits) | (x >> (64n - bits)))
const round = (lane: bigint, word: bigint): bigint => wrap(turn(wrap(lane + word * P2), 31n) * P1)

function xxh64(data: Uint8Array, seed: bigint): bigint {
  const word = (at: number, width: number): bigint =>
    data.subarray(at, at + width).reduceRight((sum, byte) => (sum << 8n) + BigInt(byte), 0n)
  let at = 0
  let hash: bigint
  if (data.length >= 32) {
    const lanes = [seed + P1 + P2, seed + P2, seed, seed - P1].map(wrap)
    for (; at + 32 <= data.length; at += 32) {
      for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i] as bigint, word(at + 8 * i, 8))
    }
    hash = wrap(lanes.reduce((sum, lane, i) => sum + turn(lane, [1n, 7n, 12n, 18n][i] as bigint), 0n))
    for (const lane of lanes) hash = wrap((hash ^ round(0n, lane)) * P1 + P4)
  } else hash = wrap(seed + P5)
  hash = wrap(hash + BigInt(data.length))
  for (; at + 8 <= data.length; at += 8) hash = wrap(turn(hash ^ round(0n, word(at, 8)), 27n) * P1 + P4)
  for (; at + 4 <= data.length; at += 4) hash = wrap(turn(hash ^ wrap(word(at, 4) * P1), 23n) * P2 + P3)
  for (; at < data.length; at++) hash = wrap(turn(hash ^ wrap(BigInt(data[at] as number) * P5), 11n) * P1)
  hash = wrap((hash ^ (hash >> 33n)) * P2)
  hash = wrap((hash ^ (hash >> 29n)) * P3)
  return hash ^ (hash >> 32n)
}

/** 8 bytes a seed. */
export function twox(data: Uint8Array, seeds: number): Uint8Array {
  const parts = Array.from({ length: seeds }, (_, seed) => {
    const hash = xxh64(data, BigInt(seed))
    return Uint8Array.from({ length: 8 }, (_, i) => Number((hash >> BigInt(8 * i)) & 255n))
  })
  return concat(...parts)
}
