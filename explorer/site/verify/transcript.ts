// The transcript of a ceremony (prover/src/ceremony.rs): who contributed, and whether each share follows from the one
// before. Bowe, Gabizon, Miers 2017, eprint 2017/1050, with gamma 1 and a delta of many factors.
import { bn254 } from '@noble/curves/bn254.js'
import { bigEndian, concat, equal, hex, little, Reader, unhex, utf8 } from './bytes.js'
import { type Check, check } from './check.js'
import { decodeCollateral } from './collateral.js'
import { verifyQuote } from './dcap.js'
import { deltaOf } from './groth16.js'
import { sha256 } from './hashes.js'
import { type Policy, rootsOf } from './policy.js'
import { contributionReportData } from './protocol.js'
import { noYounger } from './times.js'
import { allowed } from './worker.js'

const { Fp, Fp2, Fp12, Fr } = bn254.fields
type G1 = InstanceType<typeof bn254.G1.Point>
type G2 = InstanceType<typeof bn254.G2.Point>

const MAGIC = 'PWCT'
const MAX_CONTRIBUTIONS = 1024
const MAX_NAME = 64
/** Beacons of more hashes, as a power of two, are not recomputed in a page: a second's work. */
const MOST_ITERATIONS = 18
/** Points are in table form: limbs of x * 2^256 mod p, the least first. */
const FROM_TABLE = Fp.inv(Fp.create(1n << 256n))
/** Of BN254's twist. */
const COFACTOR = 2n * Fp.ORDER - Fr.ORDER
const TWIST_B = Fp2.div(Fp2.fromBigTuple([3n, 0n]), Fp2.fromBigTuple([9n, 1n]))

export interface Contribution {
  readonly name: string
  readonly beacon: boolean
  /** The transcript's hash after it, which its contributor published. */
  readonly hash: Uint8Array
  readonly delta: G1
  readonly proof: { s: G1; sx: G1; rx: G2 } | { value: Uint8Array; iterations: number }
}

export interface Transcript {
  readonly circuit: Uint8Array
  /** SHA-256 of the file of phase 1. */
  readonly phase1: Uint8Array
  readonly contributions: readonly Contribution[]
}

/** Read a transcript's file. Throws for what is none, with a point off the curve or its subgroup, or too long. */
export function readTranscript(data: Uint8Array): Transcript {
  const from = new Reader(data)
  if (!equal(from.take(4), utf8(MAGIC)) || from.unsigned(4) !== 1)
    throw new Error('it is no transcript of a ceremony, or of another version')
  const [circuit, phase1] = [from.take(32), from.take(32)]
  const count = from.unsigned(4)
  if (count > MAX_CONTRIBUTIONS) throw new Error(`it has more than ${MAX_CONTRIBUTIONS} contributions`)
  let last = sha256(concat(utf8('proofward/ceremony/v1'), circuit, phase1))
  const contributions: Contribution[] = []
  for (let i = 0; i < count; i++) {
    const before = data.length - from.left
    const one = contribution(from)
    last = sha256(
      concat(utf8('proofward/ceremony/contribution/v1'), last, data.subarray(before, data.length - from.left)),
    )
    contributions.push({ ...one, hash: last })
  }
  if (from.left) throw new Error('it does not end after its last contribution')
  return { circuit, phase1, contributions }
}

function contribution(from: Reader): Omit<Contribution, 'hash'> {
  const length = from.unsigned(1)
  const name = from.take(length)
  if (length > MAX_NAME || name.some((byte) => byte < 0x20 || byte > 0x7e))
    throw new Error(`a contributor's name has at most ${MAX_NAME} printable ASCII characters`)
  const kind = from.unsigned(1)
  if (kind > 1) throw new Error('a contribution is neither a share nor a beacon')
  const delta = g1(from)
  const proof =
    kind === 0 ? { s: g1(from), sx: g1(from), rx: g2(from) } : { value: from.take(32), iterations: from.unsigned(1) }
  return { name: new TextDecoder().decode(name), beacon: kind === 1, delta, proof }
}

function coordinate(from: Reader): bigint {
  const stored = bigEndian(from.take(32).slice().reverse())
  if (stored >= Fp.ORDER) throw new Error('a coordinate is not below the modulus')
  return Fp.mul(stored, FROM_TABLE)
}

function g1(from: Reader): G1 {
  const point = bn254.G1.Point.fromAffine({ x: coordinate(from), y: coordinate(from) })
  if (point.is0()) throw new Error('a point is infinity')
  point.assertValidity()
  return point
}

function g2(from: Reader): G2 {
  const x = Fp2.fromBigTuple([coordinate(from), coordinate(from)])
  const y = Fp2.fromBigTuple([coordinate(from), coordinate(from)])
  const point = bn254.G2.Point.fromAffine({ x, y })
  if (point.is0()) throw new Error('a point is infinity')
  point.assertValidity()
  if (!point.isTorsionFree()) throw new Error("a contribution's point is outside of the subgroup")
  return point
}

const same = (a: [G1, G2], b: [G1, G2]): boolean =>
  Fp12.eql(
    bn254.pairingBatch([
      { g1: a[0], g2: a[1] },
      { g1: b[0].negate(), g2: b[1] },
    ]),
    Fp12.ONE,
  )

/** Each contribution against what came before it: true, false, or null for a beacon that is too long for a page. */
export function follows(transcript: Transcript, place: number): boolean | null {
  const { contributions } = transcript
  const one = contributions[place] as Contribution
  const before = place ? (contributions[place - 1] as Contribution).delta : bn254.G1.Point.BASE
  if (one.delta.equals(before)) return false
  if ('s' in one.proof) {
    const { s, sx, rx } = one.proof
    const history = place
      ? (contributions[place - 1] as Contribution).hash
      : sha256(concat(utf8('proofward/ceremony/v1'), transcript.circuit, transcript.phase1))
    const r = challenge(history, one.name, s, sx)
    return same([s, rx], [sx, r]) && same([before, rx], [one.delta, r])
  }
  if (one.proof.iterations > MOST_ITERATIONS) return null
  return before.multiplyUnsafe(beacon(one.proof.value, one.proof.iterations)).equals(one.delta)
}

const bytes32 = (value: bigint): Uint8Array => little256(value).reverse()
const little256 = (value: bigint): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 255n))

/** r: nobody knows its logarithm, and it is another one for every history, name and s. */
function challenge(history: Uint8Array, name: string, s: G1, sx: G1): G2 {
  const points = [s, sx].flatMap((point) => {
    const { x, y } = point.toAffine()
    return [bytes32(x), bytes32(y)]
  })
  const named = utf8(name)
  const seed = sha256(
    concat(utf8('proofward/ceremony/share/v1'), history, Uint8Array.of(named.length), named, ...points),
  )
  for (let counter = 0; ; counter++) {
    const word = (part: number): bigint => {
      const half = (which: number) => sha256(concat(seed, little(counter, 4), Uint8Array.of(part, which)))
      return bigEndian(concat(half(0), half(1))) % Fp.ORDER
    }
    const x = Fp2.fromBigTuple([word(0), word(1)])
    const y = root(Fp2.add(Fp2.mul(Fp2.sqr(x), x), TWIST_B))
    if (y === null) continue
    const cleared = times(bn254.G2.Point.fromAffine({ x, y }), COFACTOR)
    if (!cleared.is0()) return cleared
  }
}

type Field2 = ReturnType<typeof Fp2.fromBigTuple>

/** The smaller of both square roots, imaginary parts compared first; null when there is none. */
function root(square: Field2): Field2 | null {
  let one: Field2
  try {
    one = Fp2.sqrt(square)
  } catch {
    return null
  }
  if (!Fp2.eql(Fp2.sqr(one), square)) return null
  const other = Fp2.neg(one)
  const smaller = one.c1 === other.c1 ? one.c0 < other.c0 : one.c1 < other.c1
  return smaller ? one : other
}

/** A scalar above the order of the subgroup, for a point that is not in it. */
function times(point: G2, scalar: bigint): G2 {
  let sum = bn254.G2.Point.ZERO
  for (const bit of scalar.toString(2)) {
    sum = sum.double()
    if (bit === '1') sum = sum.add(point)
  }
  return sum
}

/** The share that a beacon gives. */
function beacon(value: Uint8Array, iterations: number): bigint {
  let digest = value
  for (let i = 0; i < 2 ** iterations; i++) digest = sha256(digest)
  return (
    bigEndian(concat(sha256(concat(Uint8Array.of(0), digest)), sha256(concat(Uint8Array.of(1), digest)))) % Fr.ORDER
  )
}

/**
 * Whether a transcript holds without phase 1 and circuit: each share follows, one is secret, and the key is what they
 * end in; null where a beacon is too long for a page. Throws for what does not hold.
 */
export function endsIn(transcript: Transcript, vk: Uint8Array): boolean | null {
  const { contributions } = transcript
  const found = contributions.map((one, place) => {
    const good = follows(transcript, place)
    if (good !== false) return good
    const moved = 'does not follow from those before it: one was forged, dropped or moved'
    throw new Error(`contribution ${place + 1} (${one.name}) ${moved}`)
  })
  if (contributions.every((one) => one.beacon)) throw new Error('nobody contributed a secret')
  if (!isKeyOf(vk, contributions)) throw new Error('the verifying key is not the one that this ceremony made')
  return found.includes(null) ? null : true
}

function isKeyOf(vk: Uint8Array, contributions: readonly Contribution[]): boolean {
  const { gamma, delta } = deltaOf(vk)
  const last = contributions.at(-1)?.delta ?? bn254.G1.Point.BASE
  return gamma.equals(bn254.G2.Point.BASE) && same([last, bn254.G2.Point.BASE], [bn254.G1.Point.BASE, delta])
}

/** What the chain's record of a model says of its ceremony. */
export interface Recorded {
  readonly circuit: Uint8Array
  /** The transcript that the chain certified; null: none. */
  readonly certified: Uint8Array | null
  /** Whose word the record is; null or absent: it was proved. */
  readonly word?: string | null
  readonly vk: Uint8Array
}

const BY_RECORD = new Set(['transcript', 'circuit', 'key'])

/**
 * Everything that a page can check of a transcript without phase 1 and the circuit; the last line says what it cannot.
 * What agrees with a record that is somebody's word is `not checked`.
 */
export function* transcriptChecks(data: Uint8Array, vk: Uint8Array, recorded: Recorded): Generator<Check> {
  for (const one of compareAll(data, vk, recorded)) {
    const open = Boolean(recorded.word) && one.ok === true && BY_RECORD.has(one.name)
    yield open ? { ...one, ok: null, detail: `${one.detail}; the record is ${recorded.word}` } : one
  }
}

function* compareAll(data: Uint8Array, vk: Uint8Array, recorded: Recorded): Generator<Check> {
  let transcript: Transcript
  try {
    transcript = readTranscript(data)
  } catch (error) {
    yield check('transcript', false, (error as Error).message)
    return
  }
  const { contributions } = transcript
  const [digest, last] = [sha256(data), contributions.at(-1)?.hash ?? new Uint8Array(0)]
  const told = { 'SHA-256 of the transcript': hex(digest), 'its last hash': hex(last) }
  yield recorded.certified === null
    ? check('transcript', null, `${hex(digest)}: the chain certifies no transcript of this model`, told)
    : check(
        'transcript',
        equal(digest, recorded.certified) || equal(last, recorded.certified),
        equal(digest, recorded.certified) || equal(last, recorded.certified)
          ? `${hex(recorded.certified)}, as the chain certified it`
          : `the chain certified ${hex(recorded.certified)}, which is another one`,
        told,
      )
  yield compared('circuit', transcript.circuit, recorded.circuit)
  for (let i = 0; i < contributions.length; i++) yield followed(transcript, i)
  yield contributions.some((one) => !one.beacon)
    ? check('contributors', true, `${contributions.filter((one) => !one.beacon).length} contributed a secret`)
    : check('contributors', false, 'nobody contributed a secret: whoever made the file knows the key')
  yield keyCheck(vk, recorded.vk, contributions)
  yield check(
    'phase 1',
    null,
    `${hex(transcript.phase1)}, and that the key is this circuit's: \`proofward setup verify\` checks both, with the .ptau file and the circuit`,
  )
}

const compared = (name: string, found: Uint8Array, wanted: Uint8Array): Check =>
  check(name, equal(found, wanted), equal(found, wanted) ? hex(found) : `${hex(found)} is not ${hex(wanted)}`)

function followed(transcript: Transcript, place: number): Check {
  const one = transcript.contributions[place] as Contribution
  const started = performance.now()
  let good: boolean | null
  try {
    good = follows(transcript, place)
  } catch {
    good = false
  }
  const detail =
    good === null
      ? `hash ${hex(one.hash)}: its beacon takes more than 2^${MOST_ITERATIONS} hashes, too many for a page`
      : good
        ? `hash ${hex(one.hash)}: follows from what came before${one.beacon ? '; public, no secret' : ''}`
        : `hash ${hex(one.hash)}: does not follow from those before it: one was forged, dropped or moved`
  const made = check(`contribution ${place + 1}`, good, `${one.name}: ${detail}`, {
    name: one.name,
    kind: one.beacon ? 'beacon' : 'secret',
    'hash after it': hex(one.hash),
  })
  return { ...made, ms: performance.now() - started }
}

function keyCheck(vk: Uint8Array, recorded: Uint8Array, contributions: readonly Contribution[]): Check {
  if (!equal(sha256(vk), recorded)) return check('key', false, `${hex(sha256(vk))} is not the key on the chain`)
  try {
    const good = isKeyOf(vk, contributions)
    return check(
      'key',
      good,
      good ? "its delta is the contributions' product, its gamma 1" : 'its delta is not what the contributions come to',
    )
  } catch (error) {
    return check('key', false, (error as Error).message)
  }
}

export interface EnclaveQuote {
  readonly quote: Uint8Array
  readonly collateral: Uint8Array
  readonly time: number
  /** The transcript's hash after the contribution. */
  readonly contribution: Uint8Array
}

/** The file that `worker contribute` writes. Throws for what is none. */
export function quoteFile(source: string): EnclaveQuote {
  let fields: Record<string, unknown>
  try {
    fields = JSON.parse(source)
  } catch {
    throw new Error("it is no contribution's quote")
  }
  const { quote, collateral, time, contribution } = fields ?? {}
  if (
    typeof quote !== 'string' ||
    typeof collateral !== 'string' ||
    typeof contribution !== 'string' ||
    !Number.isSafeInteger(time) ||
    Number(time) < 0
  )
    throw new Error("it is no contribution's quote")
  return { quote: unhex(quote), collateral: unhex(collateral), time: Number(time), contribution: unhex(contribution) }
}

/** Whether one of the contributions was made in an enclave, and in which; in the words of `proofward setup verify`. */
export function enclaveChecks(evidence: EnclaveQuote, transcript: Transcript, policy: Policy): Check[] {
  const place = transcript.contributions.findIndex((one) => equal(one.hash, evidence.contribution))
  if (place < 0) return [check('enclave', false, `no contribution has the hash ${hex(evidence.contribution)}`)]
  const late = noYounger('enclave', evidence.time, policy)
  if (late) return [late]
  let found: ReturnType<typeof verifyQuote>
  try {
    found = verifyQuote(evidence.quote, decodeCollateral(evidence.collateral), evidence.time, rootsOf(policy))
  } catch (error) {
    return [check('enclave', false, `its quote: ${(error as Error).message}`)]
  }
  const bound = contributionReportData(transcript.circuit, transcript.phase1, evidence.contribution)
  if (!equal(found.quote.reportData, bound))
    return [check('enclave', false, 'its quote binds another circuit, phase 1 or contribution')]
  const { level } = found.root
  const name = transcript.contributions[place]?.name ?? ''
  const told = `contribution ${place + 1} (${name}) was made in an enclave of level ${level}`
  const checks = [check('enclave', level === 'hardware' || policy.development, told)]
  const { measurement } = found.quote
  if (policy.measurements) return [...checks, allowed('enclave measurement', measurement, policy.measurements)]
  return [...checks, check('enclave measurement', null, `${hex(measurement)}: no measurement is pinned`)]
}
