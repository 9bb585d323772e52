// Poseidon as prover/IR.md describes it, on any backend with constant, combine and multiply.
import { mod, power, R } from './field.mjs'

const FULL = 8
const PARTIAL = [56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68]

// The self-shrinking Grain LFSR of the Poseidon paper, appendix F.
function* grain(width, partial) {
  const header = [
    [1, 2],
    [0, 4],
    [254, 12],
    [width, 12],
    [FULL, 10],
    [partial, 10],
  ]
  const state = header.flatMap(([value, bits]) => [...value.toString(2).padStart(bits, '0')].map(Number))
  while (state.length < 80) state.push(1)
  const step = () => {
    const bit = state[62] ^ state[51] ^ state[38] ^ state[23] ^ state[13] ^ state[0]
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

const known = new Map()

function parameters(width) {
  if (!known.has(width)) {
    const partial = PARTIAL[width - 2]
    const bits = grain(width, partial)
    const draw = () => {
      let x = 0n
      for (let i = 0; i < 254; i++) x = (x << 1n) | BigInt(bits.next().value)
      return x
    }
    const constants = []
    while (constants.length < (FULL + partial) * width) {
      const x = draw()
      if (x < R) constants.push(x)
    }
    const points = Array.from({ length: 2 * width }, () => mod(draw()))
    const row = (i) => points.slice(width).map((y) => power(points[i] + y, R - 2n))
    known.set(width, {
      rounds: FULL + partial,
      partial,
      constants,
      matrix: Array.from({ length: width }, (_, i) => row(i)),
    })
  }
  return known.get(width)
}

export function poseidon(cs, capacity, inputs) {
  const width = inputs.length + 1
  const { rounds, partial, constants, matrix } = parameters(width)
  const sbox = (x) => {
    const square = cs.multiply(x, x)
    const cube = cs.multiply(square, x)
    return cs.multiply(square, cube)
  }
  let lanes = [cs.constant(capacity), ...inputs]
  for (let round = 0; round < rounds; round++) {
    const full = round < FULL / 2 || round >= FULL / 2 + partial
    lanes = lanes.map((lane, i) => {
      const constant = constants[round * width + i]
      if (round === 0 && i === 0) return cs.constant(power(capacity + constant, 5n))
      const x = cs.combine(constant, [[1n, lane]])
      return full || i === 0 ? sbox(x) : x
    })
    lanes = matrix.map((row) =>
      cs.combine(
        0n,
        row.map((x, i) => [x, lanes[i]]),
      ),
    )
  }
  return lanes[0]
}

export const native = {
  constant: mod,
  combine: (constant, terms) => mod(terms.reduce((sum, [x, y]) => sum + x * y, constant)),
  multiply: (a, b) => (a * b) % R,
}
