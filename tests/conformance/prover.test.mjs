// The prover, written anew from prover/IR.md and docs/proving.md: programs, rows, digests, packing, commitments,
// batches and the verification of proofs, held against tests/vectors/prover.json. Curve and pairing are @noble/curves'.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { bn254 } from '@noble/curves/bn254.js'
import { digest, synthesize } from './prover/circuit.mjs'
import { ALL, flat, leaf, opens, recordSalt, root } from './prover/commitment.mjs'
import { mod, number, power, R } from './prover/field.mjs'
import { native, poseidon } from './prover/poseidon.mjs'
import { decode, evaluate } from './prover/program.mjs'

const cases = JSON.parse(readFileSync(new URL('../vectors/prover.json', import.meta.url)))
const hex = (text) => Buffer.from(text, 'hex')
const word = (x) => x.toString(16).padStart(64, '0')
const element = (salt) => mod(number(Buffer.from(salt).reverse()))
const pairs = (list) => list.map((one) => one.map(BigInt))
const values = {
  ...native,
  pack: (parts) => parts.reduce((sum, { value, lo, shift }) => sum + ((value - lo) << shift), 0n),
}

function records(list, size) {
  return Array.from({ length: list.length / size }, (_, i) => list.slice(i * size, (i + 1) * size).map(BigInt))
}

function commit(bounds, list, salt, form) {
  if (form === 'flat') {
    const batch = list.length / bounds.length
    return flat(values, bounds, batch, list.map(BigInt), element(recordSalt(salt, ALL)))
  }
  const leaves = records(list, bounds.length).map((one, i) => leaf(values, bounds, one, element(recordSalt(salt, i))))
  return root(values, leaves)
}

// Points in the order of the EVM's precompiles: big-endian, the imaginary part first.
const words = (bytes) =>
  Array.from({ length: bytes.length / 32 }, (_, i) => number(bytes.subarray(32 * i, 32 * i + 32)))
const { Fp, Fp2, Fp12 } = bn254.fields
const g1 = ([x, y]) => {
  const point = bn254.G1.ProjectivePoint.fromAffine({ x: Fp.create(x), y: Fp.create(y) })
  point.assertValidity()
  return point
}
const g2 = ([x1, x0, y1, y0]) => {
  const point = bn254.G2.ProjectivePoint.fromAffine({
    x: Fp2.fromBigTuple([x0, x1]),
    y: Fp2.fromBigTuple([y0, y1]),
  })
  point.assertValidity()
  return point
}

// Groth16: e(A, B) = e(alpha, beta) e(IC, gamma) e(C, delta).
function verify(key, commitments, proof) {
  const k = words(key)
  const p = words(proof)
  const [ic, ...inputs] = [14, 16, 18].map((at) => g1(k.slice(at, at + 2)))
  const sum = inputs.reduce((total, point, i) => total.add(point.multiply(commitments[i])), ic)
  const sides = [
    { g1: g1(p.slice(0, 2)).negate(), g2: g2(p.slice(2, 6)) },
    { g1: g1(k.slice(0, 2)), g2: g2(k.slice(2, 6)) },
    { g1: sum, g2: g2(k.slice(6, 10)) },
    { g1: g1(p.slice(6, 8)), g2: g2(k.slice(10, 14)) },
  ]
  return Fp12.eql(bn254.pairingBatch(sides), Fp12.ONE)
}

test('poseidon is circomlib’s', () => {
  assert.equal(
    poseidon(native, 0n, [1n]),
    18586133768512220936620570745912940619677854269274689475585506675881198879027n,
  )
  assert.equal(
    poseidon(native, 0n, [1n, 2n]),
    7853200120776062878684798364095072458815029376092732009249414926327459813530n,
  )
  assert.equal(power(3n, R - 1n), 1n)
})

for (const one of cases) {
  const program = decode(hex(one.program))
  const bounds = { input: program.inputs, output: program.outputs.map((w) => program.bounds[w]) }
  const salts = { input: hex(one.input_salt), output: hex(one.output_salt) }

  test(`${one.name}: bounds, meaning and digest`, () => {
    assert.deepEqual(bounds.input, pairs(one.input_bounds))
    assert.deepEqual(bounds.output, pairs(one.output_bounds))
    const outputs = records(one.values, bounds.input.length).flatMap((record) => evaluate(program, record))
    assert.deepEqual(outputs, one.outputs.map(BigInt))
    const rows = synthesize(program, one.batch, one.form)
    assert.equal(rows.integerRows.length + rows.fieldRows.length + 3, one.constraints)
    assert.equal(digest(hex(one.program), one.batch, rows).toString('hex'), one.digest)
  })

  test(`${one.name}: commitments`, () => {
    assert.equal(word(commit(bounds.input, one.values, salts.input, one.form)), one.input_commitment)
    assert.equal(word(commit(bounds.output, one.outputs, salts.output, one.form)), one.output_commitment)
    const other = one.form === 'flat' ? 'tree' : 'flat'
    assert.notEqual(word(commit(bounds.input, one.values, salts.input, other)), one.input_commitment)
  })

  test(`${one.name}: a record opened alone`, { skip: one.form === 'flat' && 'none opens alone' }, () => {
    const { index, salt, path } = one.opened
    assert.equal(recordSalt(salts.input, index).toString('hex'), salt)
    const record = records(one.values, bounds.input.length)[index]
    const siblings = path.map((text) => number(hex(text)))
    const check = (list, at) => {
      const value = leaf(values, bounds.input, list, element(hex(salt)))
      return opens(values, one.batch, at, value, siblings, number(hex(one.input_commitment)))
    }
    assert.ok(check(record, index))
    assert.ok(!check([record[0] + 1n, ...record.slice(1)], index))
    if (one.batch > 1) assert.ok(!check(record, index - 1))
  })

  if (one.proof !== undefined) {
    test(`${one.name}: the proof holds, and no other`, () => {
      const key = hex(one.verifying_key)
      const commitments = [one.input_commitment, one.output_commitment].map((text) => number(hex(text)))
      const proof = hex(one.proof)
      assert.ok(verify(key, commitments, proof))
      assert.ok(!verify(key, [commitments[0], mod(commitments[1] + 1n)], proof))
      assert.ok(!verify(key, [commitments[1], commitments[0]], proof))
      const swapped = Buffer.concat([proof.subarray(192), proof.subarray(64, 192), proof.subarray(0, 64)])
      assert.ok(!verify(key, commitments, swapped))
    })
  }
}
