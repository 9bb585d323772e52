// Commitments as prover/IR.md describes them, on any backend.
import { number, sha256 } from './field.mjs'
import { poseidon } from './poseidon.mjs'
import { width } from './program.mjs'

const tag = (kind) => number(Buffer.from(`proofward/commit/v2/${kind}`))

// Where each value goes: element, lowest bit, what stands for 0.
export function places(bounds) {
  let [element, shift] = [0, 0n]
  return bounds.map((one) => {
    if (shift + width(one) > 253n) [element, shift] = [element + 1, 0n]
    const place = { element, shift, lo: one[0] }
    shift += width(one)
    return place
  })
}

function salted(cs, domain, bounds, values, salt) {
  const placed = places(bounds)
  const last = placed.at(-1).element
  let elements = Array.from({ length: last + 1 }, (_, element) =>
    cs.pack(placed.flatMap((place, i) => (place.element === element ? [{ ...place, value: values[i] }] : []))),
  )
  elements.push(salt)
  while (elements.length > 16) {
    elements = [poseidon(cs, tag('part'), elements.slice(0, 16)), ...elements.slice(16)]
  }
  return poseidon(cs, domain, elements)
}

export const leaf = (cs, bounds, values, salt) => salted(cs, tag('record'), bounds, values, salt)

// All records in one hash, `values` one after the other.
export function flat(cs, bounds, batch, values, salt) {
  const shape = Buffer.alloc(8)
  shape.writeUInt32BE(batch)
  shape.writeUInt32BE(bounds.length, 4)
  const domain = number(Buffer.concat([Buffer.from('proofward/flat/v1'), shape]))
  return salted(cs, domain, Array.from({ length: batch }, () => bounds).flat(), values, salt)
}

// The number of the salt that serves all records.
export const ALL = 2 ** 32 - 1

const parent = (cs, group) => (group.length === 1 ? group[0] : poseidon(cs, tag('node'), group))

export function root(cs, leaves) {
  let level = leaves
  while (level.length > 1) {
    const groups = Array.from({ length: Math.ceil(level.length / 16) }, (_, i) => level.slice(16 * i, 16 * i + 16))
    level = groups.map((group) => parent(cs, group))
  }
  return level[0]
}

// Whether a leaf is number `index` of `batch` under a root, by its siblings from the leaves up.
export function opens(cs, batch, index, leafValue, path, expected) {
  let node = leafValue
  const rest = [...path]
  for (let [at, count] = [index, batch]; count > 1; at = Math.floor(at / 16), count = Math.ceil(count / 16)) {
    const siblings = Math.min(16, count - 16 * Math.floor(at / 16)) - 1
    const group = rest.splice(0, siblings)
    if (group.length !== siblings) return false
    group.splice(at % 16, 0, node)
    node = parent(cs, group)
  }
  return rest.length === 0 && node === expected
}

export function recordSalt(salt, index) {
  const count = Buffer.alloc(4)
  count.writeUInt32LE(index)
  const made = sha256('proofward/salt/v2', salt, count)
  made[31] = 0
  return made
}
