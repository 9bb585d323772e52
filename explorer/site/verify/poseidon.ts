// Commitments to a batch of records, as prover/IR.md describes them: Poseidon on BN254's scalar field. Of two forms: each
// record for itself and a tree over them, or all of them in one hash.
import { bn254 } from '@noble/curves/bn254.js'
import { bigEndian, concat, little, utf8 } from './bytes.js'
import { sha256 } from './hashes.js'

const { Fr } = bn254.fields
const FULL = 8
const PARTIAL = [56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68]

interface Parameters {
  readonly partial: number
  readonly constants: readonly bigint[]
  readonly matrix: readonly (readonly bigint[])[]
}

/** The self-shrinking Grain LFSR of the Poseidon paper, appendix F. */
function* grain(width: number, partial: number): Generator<number, never> {
  const header = [
    [1, 2],
    [0, 4],
    [254, 12],
    [width, 12],
    [FULL, 10],
    [partial, 10],
  ] as const
  const state = header.flatMap(([value, bits]) => [...value.toString(2).padStart(bits, '0')].map(Number))
  while (state.length < 80) state.push(1)
  const step = (): number => {
    const bit = [62, 51, 38, 23, 13, 0].reduce((sum, at) => sum ^ (state[at] as number), 0)
    state.shift()
    state.push(bit)
    return bit
  }
  for (let i = 0; i < 160; i++) step()
  for (;;) {
    const first = step()
    const second = step()
    if (first) yield second
  }
}

const known = new Map<number, Parameters>()

function parametersOf(width: number): Parameters {
  const found = known.get(width)
  if (found) return found
  const partial = PARTIAL[width - 2] as number
  const bits = grain(width, partial)
  const draw = (): bigint => {
    let x = 0n
    for (let i = 0; i < 254; i++) x = (x << 1n) | BigInt(bits.next().value)
    return x
  }
  const constants: bigint[] = []
  while (constants.length < (FULL + partial) * width) {
    const x = draw()
    if (x < Fr.ORDER) constants.push(x)
  }
  const points = Array.from({ length: 2 * width }, () => Fr.create(draw()))
  const row = (i: number) => points.slice(width).map((y) => Fr.inv(Fr.add(points[i] as bigint, y)))
  const made = { partial, constants, matrix: Array.from({ length: width }, (_, i) => row(i)) }
  known.set(width, made)
  return made
}

function poseidon(capacity: bigint, inputs: readonly bigint[]): bigint {
  const width = inputs.length + 1
  const { partial, constants, matrix } = parametersOf(width)
  let lanes = [capacity, ...inputs]
  for (let round = 0; round < FULL + partial; round++) {
    const full = round < FULL / 2 || round >= FULL / 2 + partial
    const mixed = lanes.map((lane, i) => {
      const x = Fr.add(lane, constants[round * width + i] as bigint)
      return full || i === 0 ? Fr.pow(x, 5n) : x
    })
    lanes = matrix.map((row) => row.reduce((sum, x, i) => Fr.add(sum, Fr.mul(x, mixed[i] as bigint)), 0n))
  }
  return lanes[0] as bigint
}

const tag = (kind: string): bigint => Fr.create(bigEndian(utf8(`proofward/commit/v2/${kind}`)))

export type Bounds = readonly (readonly [bigint, bigint])[]

/** Values packed into field elements by the width of their bounds, at most 253 bits each. */
function packed(bounds: Bounds, values: readonly bigint[]): bigint[] {
  const elements = [0n]
  let shift = 0n
  bounds.forEach(([lo, hi], i) => {
    const value = values[i] as bigint
    if (value < lo || value > hi) throw new Error('a value is outside of its bounds')
    const width = hi > lo ? BigInt((hi - lo).toString(2).length) : 0n
    if (shift + width > 253n) {
      elements.push(0n)
      shift = 0n
    }
    elements[elements.length - 1] = (elements.at(-1) as bigint) + ((value - lo) << shift)
    shift += width
  })
  return elements
}

function salted(domain: bigint, bounds: Bounds, values: readonly bigint[], salt: bigint): bigint {
  let elements = [...packed(bounds, values), salt]
  while (elements.length > 16) elements = [poseidon(tag('part'), elements.slice(0, 16)), ...elements.slice(16)]
  return poseidon(domain, elements)
}

function recordSalt(salt: Uint8Array, index: number): bigint {
  const made = sha256(concat(utf8('proofward/salt/v2'), salt, little(index, 4)))
  made[31] = 0
  return Fr.create(bigEndian(made.reverse()))
}

export type Form = 'tree' | 'flat'

/** What stands for a record's number where one salt serves all. */
const ALL = 0xffffffff

/** The commitment to `batch` records, 32 bytes big-endian. Throws for a value outside of its bounds. */
export function commit(
  bounds: Bounds,
  batch: number,
  values: readonly bigint[],
  salt: Uint8Array,
  form: Form,
): Uint8Array {
  if (values.length !== batch * bounds.length) throw new Error('the values have another shape')
  const root = form === 'tree' ? treeOf(bounds, batch, values, salt) : flatOf(bounds, batch, values, salt)
  return Uint8Array.from({ length: 32 }, (_, i) => Number((root >> BigInt(8 * (31 - i))) & 255n))
}

function flatOf(bounds: Bounds, batch: number, values: readonly bigint[], salt: Uint8Array): bigint {
  const shape = [batch, bounds.length].map((count) => little(count, 4).reverse())
  const domain = bigEndian(concat(utf8('proofward/flat/v1'), ...shape))
  const all = Array.from({ length: batch }, () => bounds).flat()
  return salted(domain, all, values, recordSalt(salt, ALL))
}

function treeOf(bounds: Bounds, batch: number, values: readonly bigint[], salt: Uint8Array): bigint {
  let level = Array.from({ length: batch }, (_, i) =>
    salted(tag('record'), bounds, values.slice(i * bounds.length, (i + 1) * bounds.length), recordSalt(salt, i)),
  )
  while (level.length > 1) {
    const groups = Array.from({ length: Math.ceil(level.length / 16) }, (_, i) => level.slice(16 * i, 16 * i + 16))
    level = groups.map((group) => (group.length === 1 ? (group[0] as bigint) : poseidon(tag('node'), group)))
  }
  return level[0] as bigint
}
