// Keys that a runtime has made for itself, such as a validator's session keys: in memory, for as long as the process.
import { randomBytes } from 'node:crypto'
import { ed25519PairFromSeed, ed25519Sign, sr25519PairFromSeed, sr25519Sign } from '@polkadot/util-crypto'
import { Reader } from './scale.mjs'

const MOST_KEYS = 1024
const SCHEMES = {
  ed25519: { pair: ed25519PairFromSeed, sign: ed25519Sign },
  sr25519: { pair: sr25519PairFromSeed, sign: sr25519Sign },
}

const kept = new Map()
const nameOf = (scheme, type, key) =>
  [scheme, Buffer.from(type).toString('hex'), Buffer.from(key).toString('hex')].join()

// A seed's 32 bytes from SCALE Option<Vec<u8>>, in which it is text: hexadecimal behind 0x. Random ones for none.
function seedOf(option) {
  const reader = new Reader(option)
  if (reader.u8() === 0) return randomBytes(32)
  const text = reader.text()
  if (!/^0x[0-9a-fA-F]{64}$/.test(text)) throw new Error('a key is made from 32 bytes in hexadecimal only')
  return Buffer.from(text.slice(2), 'hex')
}

// Make a key of a scheme for a key type (4 bytes): gives the public key. Throws when the seed is none.
export function generate(scheme, type, seed) {
  const pair = SCHEMES[scheme].pair(seedOf(seed))
  kept.set(nameOf(scheme, type, pair.publicKey), pair)
  if (kept.size > MOST_KEYS) kept.delete(kept.keys().next().value)
  return pair.publicKey
}

// A signature by a key that was made here; nothing when there is none.
export function sign(scheme, type, key, message) {
  const pair = kept.get(nameOf(scheme, type, key))
  return pair && SCHEMES[scheme].sign(message, pair)
}
