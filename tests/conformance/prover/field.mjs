// BN254's scalar field, and linear combinations over it.
import { createHash } from 'node:crypto'

export const R = 21888242871839275222246405745257275088548364400416034343698204186575808495617n

export const mod = (x) => ((x % R) + R) % R

export function power(x, n) {
  let result = 1n
  for (let base = mod(x); n > 0n; n >>= 1n) {
    if (n & 1n) result = (result * base) % R
    base = (base * base) % R
  }
  return result
}

export const sha256 = (...parts) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

export const little = (x, bytes) =>
  Buffer.from(
    BigInt.asUintN(8 * bytes, x)
      .toString(16)
      .padStart(2 * bytes, '0'),
    'hex',
  ).reverse()

export const number = (bytes) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
