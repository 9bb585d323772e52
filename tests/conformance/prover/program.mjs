// Integer programs as prover/IR.md describes them: bytes, static bounds, meaning.

export const bitLength = (n) => (n > 0n ? BigInt(n.toString(2).length) : 0n)
export const half = (s) => (s > 0n ? 1n << (s - 1n) : 0n)
export const width = ([lo, hi]) => bitLength(hi - lo)

export function decode(bytes) {
  let at = 0
  const take = (n) => bytes.subarray(at, (at += n))
  const u8 = () => take(1)[0]
  const u32 = () => take(4).readUInt32LE()
  const i64 = () => take(8).readBigInt64LE()
  const many = (read) => Array.from({ length: u32() }, read)
  if (take(4).toString() !== 'PWIR' || take(2).readUInt16LE() !== 1) throw new Error('not a program')
  const nodes = many(() => {
    const tag = u8()
    take(u8())
    switch (tag) {
      case 0:
        return { kind: 'input', bounds: many(() => [i64(), i64()]) }
      case 1:
        return { kind: 'linear', rows: many(() => ({ bias: i64(), terms: many(() => [u32(), i64()]) })) }
      case 2:
        return { kind: 'shift', s: BigInt(u8()), wires: many(u32) }
      case 3:
        return { kind: 'relu', s: BigInt(u8()), wires: many(u32) }
      case 4:
        return { kind: 'thermometer', wire: u32(), k: u32() }
      case 5:
        return { kind: 'mux', choices: many(() => [u32(), u32(), u32()]) }
      case 6:
        return { kind: 'output', wires: many(u32) }
      default:
        throw new Error(`tag ${tag}`)
    }
  })
  if (at !== bytes.length) throw new Error('bytes after the last node')
  const inputs = nodes[0].bounds
  const ranked = inputs.map(([lo, hi], i) =>
    nodes.some((node) => node.kind === 'thermometer' && node.wire === i && lo === 0n && hi === BigInt(node.k)),
  )
  const program = { nodes, inputs, ranked, outputs: nodes.at(-1).wires }
  return { ...program, bounds: bound(program) }
}

const sorted = (...ends) => [ends.reduce((a, b) => (a < b ? a : b)), ends.reduce((a, b) => (a > b ? a : b))]
const positive = (x) => (x > 0n ? x : 0n)

function bound({ nodes, inputs, ranked }) {
  const wires = []
  for (const node of nodes) {
    const start = wires.slice()
    if (node.kind === 'input') {
      inputs.forEach(([lo, hi], i) => {
        wires.push(ranked[i] ? [lo, hi] : [lo, lo + (1n << width([lo, hi])) - 1n])
      })
    } else if (node.kind === 'linear') {
      for (const { bias, terms } of node.rows) {
        const ends = terms.map(([w, x]) => sorted(x * start[w][0], x * start[w][1]))
        wires.push([0, 1].map((end) => ends.reduce((sum, one) => sum + one[end], bias)))
      }
    } else if (node.kind === 'shift' || node.kind === 'relu') {
      const last = node.kind === 'relu' ? positive : (x) => x
      for (const w of node.wires) wires.push(start[w].map((x) => last((x + half(node.s)) >> node.s)))
    } else if (node.kind === 'thermometer') {
      for (let j = 0; j < node.k; j++) wires.push([0n, 1n])
    } else if (node.kind === 'mux') {
      for (const [, a, b] of node.choices) wires.push(sorted(...start[a], ...start[b]))
    }
  }
  return wires
}

export function evaluate(program, record) {
  const x = [...record]
  for (const node of program.nodes) {
    const read = [...x]
    if (node.kind === 'linear') {
      for (const { bias, terms } of node.rows) x.push(terms.reduce((sum, [w, c]) => sum + c * read[w], bias))
    } else if (node.kind === 'shift') {
      for (const w of node.wires) x.push((read[w] + half(node.s)) >> node.s)
    } else if (node.kind === 'relu') {
      for (const w of node.wires) x.push(positive((read[w] + half(node.s)) >> node.s))
    } else if (node.kind === 'thermometer') {
      for (let j = 1; j <= node.k; j++) x.push(read[node.wire] >= j ? 1n : 0n)
    } else if (node.kind === 'mux') {
      for (const [bit, a, b] of node.choices) x.push(read[read[bit] === 1n ? a : b])
    }
  }
  return program.outputs.map((w) => x[w])
}
