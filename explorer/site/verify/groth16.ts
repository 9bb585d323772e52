// Groth16 on BN254: e(A, B) = e(alpha, beta) e(IC, gamma) e(C, delta), in the encoding of prover/src/points.rs.
import { bn254 } from '@noble/curves/bn254.js'
import { bigEndian } from './bytes.js'

const { Fp, Fp2, Fp12, Fr } = bn254.fields
type G1 = InstanceType<typeof bn254.G1.Point>
type G2 = InstanceType<typeof bn254.G2.Point>

export const PROOF_BYTES = 256
export const KEY_BYTES = 64 + 3 * 128 + 3 * 64

/** Big-endian coordinates below the modulus, the imaginary part first; no infinity; in the subgroup. */
class Points {
  private at = 0

  constructor(private readonly data: Uint8Array) {}

  private coordinate(): bigint {
    const x = bigEndian(this.data.subarray(this.at, this.at + 32))
    this.at += 32
    if (x >= Fp.ORDER) throw new Error('a coordinate is not below the modulus')
    return x
  }

  g1(): G1 {
    const [x, y] = [this.coordinate(), this.coordinate()]
    const point = bn254.G1.Point.fromAffine({ x, y })
    if (point.is0()) throw new Error('a point is infinity')
    point.assertValidity()
    return point
  }

  g2(): G2 {
    const [x1, x0, y1, y0] = [this.coordinate(), this.coordinate(), this.coordinate(), this.coordinate()]
    const point = bn254.G2.Point.fromAffine({ x: Fp2.fromBigTuple([x0, x1]), y: Fp2.fromBigTuple([y0, y1]) })
    if (point.is0()) throw new Error('a point is infinity')
    point.assertValidity()
    if (!point.isTorsionFree()) throw new Error('a point is not in its subgroup')
    return point
  }
}

interface Key {
  readonly alpha: G1
  readonly beta: G2
  readonly gamma: G2
  readonly delta: G2
  readonly inputs: readonly [G1, G1, G1]
}

/** Throws for a key that is none. */
function keyOf(data: Uint8Array): Key {
  if (data.length !== KEY_BYTES) throw new Error(`a verifying key has ${KEY_BYTES} bytes, this one ${data.length}`)
  const points = new Points(data)
  return {
    alpha: points.g1(),
    beta: points.g2(),
    gamma: points.g2(),
    delta: points.g2(),
    inputs: [points.g1(), points.g1(), points.g1()],
  }
}

/** What a ceremony makes of a key. Throws for a key that is none. */
export const deltaOf = (data: Uint8Array): Pick<Key, 'gamma' | 'delta'> => keyOf(data)

const times = (point: G1, scalar: bigint): G1 => (scalar === 0n ? bn254.G1.Point.ZERO : point.multiplyUnsafe(scalar))

/** Whether the proof leads from one commitment to the other. Throws for an unusable key; false for anything else. */
export function verifyProof(key: Uint8Array, input: Uint8Array, output: Uint8Array, proof: Uint8Array): boolean {
  let vk: Key
  try {
    vk = keyOf(key)
  } catch (error) {
    throw new Error(`the verifying key is unusable: ${(error as Error).message}; fetch the artifact again`)
  }
  const scalars = [bigEndian(input), bigEndian(output)] as const
  if (proof.length !== PROOF_BYTES || scalars.some((one) => one >= Fr.ORDER)) return false
  try {
    const points = new Points(proof)
    const [a, b, c] = [points.g1(), points.g2(), points.g1()]
    const sum = vk.inputs[0].add(times(vk.inputs[1], scalars[0])).add(times(vk.inputs[2], scalars[1]))
    const pairs = [
      { g1: a.negate(), g2: b },
      { g1: vk.alpha, g2: vk.beta },
      { g1: sum, g2: vk.gamma },
      { g1: c, g2: vk.delta },
    ].filter((pair) => !pair.g1.is0())
    return Fp12.eql(bn254.pairingBatch(pairs), Fp12.ONE)
  } catch {
    return false
  }
}
