// Ids, receipts and what quotes bind, byte for byte as docs/protocol.md has them.
import { ed25519 } from '@noble/curves/ed25519.js'
import { concat, equal, little, unhex, utf8 } from './bytes.js'
import { blake2, sha512 } from './hashes.js'
import type { Level } from './roots.js'

export type Lane = 'ezkl' | 'groth16'
export const LEVELS: readonly Level[] = ['simulated', 'hardware']
export const LANES: readonly Lane[] = ['ezkl', 'groth16']

/** Who made the keys; `level` is of an attested setup's quote. */
export interface Setup {
  readonly kind: 'dev' | 'attested' | 'ceremony'
  readonly level: Level | null
}

/** Decode a setup (SCALE). Throws. */
export function decodeSetup(data: Uint8Array): Setup {
  const [kind, level, ...more] = data
  const name = (['dev', 'attested', 'ceremony'] as const)[kind ?? 3]
  const wanted = name === 'attested' ? 2 : 1
  const found = level === undefined ? null : LEVELS[level]
  if (!name || data.length !== wanted || found === undefined || more.length)
    throw new Error('a SetupRecord cannot be decoded')
  return { kind: name, level: found }
}

export const setupText = ({ kind, level }: Setup): string => (level === null ? kind : `${kind} (${level})`)

/** Whether a job that demands a level may rest on a setup; one that is attested below counts as `dev`. */
export const acceptable = ({ kind, level }: Setup, least: Level, allowDev: boolean): boolean =>
  kind === 'ceremony' || allowDev || (level !== null && LEVELS.indexOf(level) >= LEVELS.indexOf(least))

export interface ModelFacts {
  readonly publisher: Uint8Array
  readonly weightsDigest: Uint8Array
  readonly manifestHash: Uint8Array
  readonly lane: Lane
  readonly vkHash: Uint8Array
  readonly keyHash: Uint8Array
}

export function modelId(one: ModelFacts): Uint8Array {
  const lane = Uint8Array.of(LANES.indexOf(one.lane))
  return blake2(
    concat(
      utf8('proofward/model/v2'),
      one.publisher,
      one.weightsDigest,
      one.manifestHash,
      lane,
      one.vkHash,
      one.keyHash,
    ),
  )
}

const bind = (domain: string, ...parts: Uint8Array[]): Uint8Array =>
  sha512(concat(utf8(domain), ...parts.flatMap((part) => [little(part.length, 4), part])))

export interface WorkerBinding {
  readonly genesis: Uint8Array
  readonly account: Uint8Array
  readonly hpkeKey: Uint8Array
  readonly receiptKey: Uint8Array
  readonly epoch: number
  readonly blockHash: Uint8Array
}

/** Throws for an HPKE key of no suite. */
export function workerReportData(one: WorkerBinding): Uint8Array {
  if (![32, 1216].includes(one.hpkeKey.length))
    throw new Error(`an HPKE public key has 32 or 1,216 bytes, not ${one.hpkeKey.length}`)
  return bind(
    'proofward/worker/v1',
    one.genesis,
    one.account,
    one.hpkeKey,
    one.receiptKey,
    little(one.epoch, 4),
    one.blockHash,
  )
}

export const setupReportData = (
  ...parts: [
    genesis: Uint8Array,
    publisher: Uint8Array,
    manifest: Uint8Array,
    circuit: Uint8Array,
    vk: Uint8Array,
    block: Uint8Array,
  ]
): Uint8Array => bind('proofward/setup/v2', ...parts)

export const contributionReportData = (
  ...parts: [circuit: Uint8Array, phase1: Uint8Array, contribution: Uint8Array]
): Uint8Array => bind('proofward/contribution/v1', ...parts)

export interface Receipt {
  /** genesis, job, model, worker, weights digest, input and output commitment, hashes of sealed output and proof. */
  readonly hashes: readonly Uint8Array[]
  readonly level: Level
  /** SCALE. */
  readonly setup: Uint8Array
  readonly block: number
}

export const receiptMessage = (one: Receipt): Uint8Array =>
  concat(
    utf8('proofward/receipt/v1'),
    ...one.hashes,
    Uint8Array.of(LEVELS.indexOf(one.level)),
    one.setup,
    little(one.block, 4),
  )

const Point = ed25519.Point
const ORDER = Point.Fn.ORDER

/** Ed25519 as libsodium takes it: no cofactor, no point of small order, one encoding of each (RFC 8032, 5.1.7). */
export function verifySignature(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.length !== 32 || signature.length !== 64) return false
  const [first, scalar] = [signature.subarray(0, 32), signature.subarray(32)]
  const s = littleEndian(scalar)
  if (s >= ORDER) return false
  try {
    const [a, r] = [Point.fromBytes(key, false), Point.fromBytes(first, false)]
    if (a.isSmallOrder() || r.isSmallOrder()) return false
    const k = littleEndian(sha512(concat(first, key, message))) % ORDER
    const found = Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k))
    return equal(found.toBytes(), first)
  } catch {
    return false
  }
}

const littleEndian = (data: Uint8Array): bigint => data.reduceRight((sum, byte) => (sum << 8n) + BigInt(byte), 0n)

/** A 32-byte hash without or with `0x`. Throws. */
export function hash32(text: string, what: string): Uint8Array {
  const data = unhex(text.replace(/^0x/, ''))
  if (data.length !== 32) throw new Error(`${what} has 64 hexadecimal digits`)
  return data
}
