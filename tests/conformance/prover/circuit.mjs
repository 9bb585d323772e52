// The rows of a circuit, in the order of prover/IR.md, and their digest.
import { flat, leaf, root } from './commitment.mjs'
import { little, mod, sha256 } from './field.mjs'
import { bitLength, half } from './program.mjs'

const FIELD = 1n << 32n
const ONE = 0n

// A linear combination: variable -> coefficient, integers below 2^32, field elements above.
const combination = (parts, reduce) => {
  const sum = new Map()
  for (const [factor, terms] of parts) {
    for (const [variable, x] of terms) sum.set(variable, reduce((sum.get(variable) ?? 0n) + factor * x))
  }
  return new Map([...sum].filter(([, x]) => x !== 0n))
}
const constant = (x) => new Map([[ONE, x]])

class Recorder {
  integers = 1n
  fields = 2n
  integerRows = []
  fieldRows = []

  // Integers.
  linear(bias, parts) {
    return combination([[1n, constant(bias)], ...parts], (x) => x)
  }
  bit() {
    return new Map([[this.integers++, 1n]])
  }
  vanish(a, b) {
    this.integerRows.push([a, b, null])
  }
  boolean(x) {
    this.vanish(x, this.linear(-1n, [[1n, x]]))
  }
  product(a, b) {
    const c = this.integers++
    this.integerRows.push([a, b, c])
    return new Map([[c, 1n]])
  }

  // Field elements.
  constant(x) {
    return this.combine(x, [])
  }
  combine(bias, parts) {
    return combination([[1n, constant(mod(bias))], ...parts], mod)
  }
  multiply(a, b) {
    const c = FIELD + this.fields++
    this.fieldRows.push([a, b, c])
    return new Map([[c, 1n]])
  }
  salt() {
    return new Map([[FIELD + this.fields++, 1n]])
  }
  pack(parts) {
    const scaled = parts.map(({ value, shift, lo }) => [1n << shift, this.linear(-lo, [[1n, value]])])
    return this.combine(0n, scaled)
  }
  expose(end, x) {
    const difference = this.combine(0n, [
      [1n, x],
      [-1n, new Map([[FIELD + end, 1n]])],
    ])
    this.fieldRows.push([difference, constant(1n), null])
  }
}

function bits(cs, x, offset, n) {
  const upper = []
  for (let i = 1n; i < n; i++) {
    upper.push(cs.bit())
    cs.boolean(upper.at(-1))
  }
  const lowest = cs.linear(offset, [[1n, x], ...upper.map((bit, i) => [-(2n << BigInt(i)), bit])])
  cs.boolean(lowest)
  return [lowest, ...upper]
}

const compose = (cs, bias, list) =>
  cs.linear(
    bias,
    list.map((bit, i) => [1n << BigInt(i), bit]),
  )

function steps(cs, k) {
  const t = Array.from({ length: k }, () => cs.bit())
  if (k > 1) cs.boolean(cs.linear(1n, [[-1n, t[0]]]))
  for (let j = 0; j + 1 < k; j++) {
    cs.boolean(
      cs.linear(0n, [
        [1n, t[j]],
        [-1n, t[j + 1]],
      ]),
    )
  }
  cs.boolean(t[k - 1])
  return {
    t,
    sum: cs.linear(
      0n,
      t.map((one) => [1n, one]),
    ),
  }
}

function round(cs, relu, s, x, [lo, hi]) {
  const [bottom, top] = [lo + half(s), hi + half(s)]
  const [first, last] = [bottom >> s, top >> s]
  if (relu && last <= 0n) return cs.linear(0n, [])
  if (relu && first < 0n) {
    // The least k with -2^k <= bottom and top < 2^k.
    const k = [bitLength(top), bitLength(-bottom - 1n)].reduce((a, b) => (a > b ? a : b))
    const found = bits(cs, x, half(s) + (1n << k), k + 1n)
    return cs.product(found[k], s === 0n ? x : compose(cs, 0n, found.slice(Number(s), Number(k))))
  }
  if (s === 0n) return x
  if (first === last) return cs.linear(first, [])
  return compose(cs, first, bits(cs, x, half(s) - (first << s), s + bitLength(last - first)).slice(Number(s)))
}

function run(cs, { nodes, inputs, ranked, bounds }) {
  const wires = []
  const ranks = new Map()
  const difference = (a, b) =>
    cs.linear(0n, [
      [1n, a],
      [-1n, b],
    ])
  for (const node of nodes) {
    if (node.kind === 'input') {
      inputs.forEach(([lo, hi], i) => {
        if (ranked[i]) {
          const made = steps(cs, Number(hi))
          ranks.set(i, made.t)
          wires.push(made.sum)
        } else {
          const list = []
          for (let n = bitLength(hi - lo); n > 0n; n--) {
            list.push(cs.bit())
            cs.boolean(list.at(-1))
          }
          wires.push(compose(cs, lo, list))
        }
      })
    } else if (node.kind === 'linear') {
      for (const { bias, terms } of node.rows)
        wires.push(
          cs.linear(
            bias,
            terms.map(([w, x]) => [x, wires[w]]),
          ),
        )
    } else if (node.kind === 'shift' || node.kind === 'relu') {
      for (const w of node.wires) wires.push(round(cs, node.kind === 'relu', node.s, wires[w], bounds[w]))
    } else if (node.kind === 'thermometer') {
      let t = ranks.get(node.wire)
      if (t?.length !== node.k) {
        const made = steps(cs, node.k)
        cs.vanish(difference(made.sum, wires[node.wire]), constant(1n))
        t = made.t
      }
      wires.push(...t)
    } else if (node.kind === 'mux') {
      for (const [bit, a, b] of node.choices) {
        const [[alo, ahi], [blo, bhi]] = [bounds[a], bounds[b]]
        if (alo === ahi && blo === bhi) wires.push(cs.linear(blo, [[alo - blo, wires[bit]]]))
        else {
          const chosen = cs.product(wires[bit], difference(wires[a], wires[b]))
          wires.push(
            cs.linear(0n, [
              [1n, chosen],
              [1n, wires[b]],
            ]),
          )
        }
      }
    }
  }
  return wires
}

export function synthesize(program, batch, form) {
  const cs = new Recorder()
  const { inputs, outputs } = program
  const bounds = [inputs, outputs.map((w) => program.bounds[w])]
  // Of a tree the records' commitments, else all values.
  const ends = [[], []]
  for (let i = 0; i < batch; i++) {
    const wires = run(cs, program)
    const record = [wires.slice(0, inputs.length), outputs.map((w) => wires[w])]
    record.forEach((values, end) => {
      ends[end].push(...(form === 'tree' ? [leaf(cs, bounds[end], values, cs.salt())] : values))
    })
  }
  ends.forEach((list, end) => {
    cs.expose(BigInt(end), form === 'tree' ? root(cs, list) : flat(cs, bounds[end], batch, list, cs.salt()))
  })
  return cs
}

export function digest(bytes, batch, { integerRows, fieldRows }) {
  const side = (terms, size) => [
    little(BigInt(terms.size), 8),
    ...[...terms]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([variable, x]) => [little(variable, 8), little(x, size)]),
  ]
  const row =
    (size) =>
    ([a, b, c]) => [...side(a, size), ...side(b, size), c === null ? Buffer.alloc(8, 255) : little(c, 8)]
  const head = [little(BigInt(batch), 4), little(BigInt(integerRows.length), 8)]
  const rows = [...integerRows.flatMap(row(8)), ...fieldRows.flatMap(row(32))]
  return sha256('proofward/circuit/v1', sha256(bytes), ...head, Buffer.concat(rows))
}
