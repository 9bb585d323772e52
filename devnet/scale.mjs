// SCALE Compact<u32>.
export function compact(value) {
  if (value < 1 << 6) return Uint8Array.of(value << 2)
  if (value < 1 << 14) return Uint8Array.of(((value << 2) | 1) & 0xff, value >>> 6)
  if (value < 1 << 30) {
    const word = value * 4 + 2
    return Uint8Array.of(word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, (word >>> 24) & 0xff)
  }
  return Uint8Array.of(3, value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff)
}
