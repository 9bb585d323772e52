// Roots of Substrate's Merkle-Patricia trie (Polkadot specification, section 2.4.3), computed from all entries.
import { u8aToHex } from '@polkadot/util'
import { blake2AsU8a } from '@polkadot/util-crypto'
import { compact } from './scale.mjs'

// A value of more bytes than this is stored by its hash, in state version 1.
const INLINE_VALUE = 32

const hash = (data) => blake2AsU8a(data, 256)

function join(parts) {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function nibblesOf(key) {
  const nibbles = new Uint8Array(2 * key.length)
  for (let at = 0; at < key.length; at += 1) {
    nibbles[2 * at] = key[at] >>> 4
    nibbles[2 * at + 1] = key[at] & 15
  }
  return nibbles
}

// A node's first bytes: its kind in the high bits, the length of its partial key in the others and what follows.
function header(kind, bits, length) {
  const most = (1 << bits) - 1
  if (length < most) return Uint8Array.of(kind | length)
  const rest = length - most
  return Uint8Array.of(kind | most, ...new Array(Math.floor(rest / 255)).fill(255), rest % 255)
}

function packed(nibbles) {
  const odd = nibbles.length & 1
  const bytes = new Uint8Array((nibbles.length + odd) / 2)
  for (let at = 0; at < nibbles.length; at += 1) {
    const place = at + odd
    bytes[place >>> 1] |= place & 1 ? nibbles[at] : nibbles[at] << 4
  }
  return bytes
}

const byLength = (bytes) => join([compact(bytes.length), bytes])

// Encode the node over entries first..end, which share their first `depth` nibbles.
function encode(entries, first, end, depth, version) {
  const { nibbles, value } = entries[first]
  let split = nibbles.length
  if (end - first > 1) {
    const other = entries[end - 1].nibbles
    split = depth
    while (split < nibbles.length && nibbles[split] === other[split]) split += 1
  }
  const partial = nibbles.subarray(depth, split)
  const own = split === nibbles.length ? value : undefined
  const hashed = own !== undefined && version === 1 && own.length > INLINE_VALUE
  const content = own === undefined ? [] : [hashed ? hash(own) : byLength(own)]
  if (end - first === 1) {
    return join([header(hashed ? 0x20 : 0x40, hashed ? 5 : 6, partial.length), packed(partial), ...content])
  }
  const kind = own === undefined ? [0x80, 6] : hashed ? [0x10, 4] : [0xc0, 6]
  const children = []
  let bitmap = 0
  for (let at = own === undefined ? first : first + 1; at < end; ) {
    const branch = entries[at].nibbles[split]
    let next = at + 1
    while (next < end && entries[next].nibbles[split] === branch) next += 1
    const child = encode(entries, at, next, split + 1, version)
    children.push(byLength(child.length < 32 ? child : hash(child)))
    bitmap |= 1 << branch
    at = next
  }
  const map = Uint8Array.of(bitmap & 255, bitmap >>> 8)
  return join([header(...kind, partial.length), packed(partial), map, ...content, ...children])
}

// The root of [key, value] pairs of bytes, keys all different.
export function trieRoot(pairs, version) {
  const entries = pairs.map(([key, value]) => ({ nibbles: nibblesOf(key), value }))
  entries.sort((one, other) => compareNibbles(one.nibbles, other.nibbles))
  return hash(entries.length === 0 ? Uint8Array.of(0) : encode(entries, 0, entries.length, 0, version))
}

function compareNibbles(one, other) {
  const shared = Math.min(one.length, other.length)
  for (let at = 0; at < shared; at += 1) if (one[at] !== other[at]) return one[at] - other[at]
  return one.length - other.length
}

// The root of a list: its elements under their SCALE-encoded positions.
export function orderedRoot(values, version) {
  return trieRoot(
    values.map((value, index) => [compact(index), value]),
    version,
  )
}

// The Merkle value of the node closest to the root that has all of `pairs` below it and nothing else; `neighbours` are
// the keys next to them in the trie. As hexadecimal.
export function merkleValue(pairs, neighbours, version) {
  const entries = pairs.map(([key, value]) => ({ nibbles: nibblesOf(key), value }))
  const shared = (one, other) => {
    let length = 0
    while (length < one.length && one[length] === other[length]) length += 1
    return length
  }
  // the branch above chose this node by the nibble behind what it shares with a neighbour
  const ends = [entries[0], entries.at(-1)]
  const depths = neighbours.map(nibblesOf).flatMap((key) => ends.map(({ nibbles }) => 1 + shared(nibbles, key)))
  const depth = Math.max(0, ...depths)
  const node = encode(entries, 0, entries.length, depth, version)
  return u8aToHex(depth > 0 && node.length < 32 ? node : hash(node))
}
