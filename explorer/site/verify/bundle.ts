// A job's evidence in one file, read strictly and within bounds. Nothing in it is believed.
import { unhex } from './bytes.js'
import { type Lane, LEVELS } from './protocol.js'
import type { Level } from './roots.js'

export const MAX_BUNDLE_BYTES = 96 << 20
const FORMAT = 'proofward/bundle/v1'

export interface QuotePart {
  readonly quote: Uint8Array
  /** SCALE. */
  readonly collateral: Uint8Array
  /** Unix seconds. */
  readonly time: number
}

export interface Bundle {
  readonly chain: { readonly genesis: Uint8Array; readonly name: string; readonly type: string }
  readonly job: {
    readonly id: Uint8Array
    readonly client: Uint8Array
    readonly model: Uint8Array
    readonly inputCommitment: Uint8Array
    readonly minLevel: Level
    readonly allowDevSetup: boolean
    readonly deadline: number
    readonly submittedAt: number
  }
  readonly result: {
    readonly worker: Uint8Array
    readonly level: Level
    readonly setup: Uint8Array
    readonly outputCommitment: Uint8Array
    readonly proof: Uint8Array
    readonly sealedOutput: Uint8Array
    readonly receiptBlock: number
    readonly receiptSignature: Uint8Array
    readonly block: number
  }
  readonly model: {
    readonly publisher: Uint8Array
    readonly name: string
    readonly lane: Lane
    readonly weightsDigest: Uint8Array
    readonly manifestHash: Uint8Array
    readonly vkHash: Uint8Array
    readonly circuitDigest: Uint8Array
    readonly keyHash: Uint8Array
    readonly verifier: Uint8Array
    readonly contractCode: Uint8Array
    readonly files: ReadonlyMap<string, Uint8Array>
  }
  readonly worker: {
    readonly level: Level
    readonly measurement: Uint8Array
    readonly hpkeKey: Uint8Array
    readonly receiptKey: Uint8Array
    readonly epoch: number
    readonly quoteHash: Uint8Array
    readonly blockHash: Uint8Array
    readonly attestation: QuotePart
  }
  readonly setupEvidence: (QuotePart & { readonly blockHash: Uint8Array }) | null
  /** The chain's own proof of its state; null from a chain without GRANDPA. */
  readonly inclusion: InclusionPart | null
}

/** A header (SCALE) and GRANDPA's justification of it. */
export interface FinalBlock {
  readonly header: Uint8Array
  readonly justification: Uint8Array
}

export interface InclusionPart extends FinalBlock {
  readonly changes: readonly FinalBlock[]
  readonly nodes: readonly Uint8Array[]
}

/** A bundle that cannot be read; says where and why. */
export class BundleError extends Error {}

/** The fields of one part; `done` refuses those that nobody asked for. */
export class Part {
  private readonly asked = new Set<string>()

  constructor(
    private readonly where: string,
    private readonly fields: Record<string, unknown>,
  ) {}

  /** The text of a file of a format. Throws BundleError. */
  static parse(source: string, format: string): Part {
    if (source.length > MAX_BUNDLE_BYTES) throw new BundleError(`the bundle is larger than ${MAX_BUNDLE_BYTES} bytes`)
    let value: unknown
    try {
      value = JSON.parse(source)
    } catch {
      throw new BundleError('the file is no JSON: a bundle is what `proofward verify JOB --export FILE` writes')
    }
    const top = Part.of('', value)
    if (top.has('format') && top.get('format') !== format) fail('format', `it is not ${format}`)
    return top
  }

  static of(where: string, value: unknown): Part {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) fail(where, 'an object is needed')
    return new Part(where, value as Record<string, unknown>)
  }

  get(name: string): unknown {
    this.asked.add(name)
    if (!Object.hasOwn(this.fields, name)) fail(this.path(name), 'it is missing')
    return this.fields[name]
  }

  has(name: string): boolean {
    this.asked.add(name)
    return Object.hasOwn(this.fields, name) && this.fields[name] !== null
  }

  part(name: string): Part {
    return Part.of(this.path(name), this.get(name))
  }

  bytes(name: string, least: number, most: number): Uint8Array {
    return bytesOf(this.path(name), this.get(name), least, most)
  }

  hash(name: string): Uint8Array {
    return this.bytes(name, 32, 32)
  }

  text(name: string, most: number): string {
    const value = this.get(name)
    if (typeof value !== 'string' || Array.from(value).length > most)
      fail(this.path(name), `text of at most ${most} letters is needed`)
    return value
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T {
    const value = this.get(name)
    if (!choices.includes(value as T)) fail(this.path(name), `one of ${choices.join(', ')} is needed`)
    return value as T
  }

  flag(name: string, absent?: boolean): boolean {
    this.asked.add(name)
    if (absent !== undefined && !Object.hasOwn(this.fields, name)) return absent
    const value = this.get(name)
    if (typeof value !== 'boolean') fail(this.path(name), 'true or false is needed')
    return value
  }

  number(name: string, limit: number, least = 0): number {
    const value = this.get(name)
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value >= limit) {
      fail(this.path(name), 'a whole number within bounds is needed')
    }
    return value
  }

  list(name: string, most: number): unknown[] {
    const value = this.get(name)
    if (!Array.isArray(value) || value.length > most) fail(this.path(name), `a list of at most ${most} is needed`)
    return value
  }

  hashes(name: string, most: number): Uint8Array[] {
    return this.list(name, most).map((one) => bytesOf(this.path(name), one, 32, 32))
  }

  entries(name: string): [string, unknown][] {
    return Object.entries(this.part(name).fields)
  }

  done<T>(value: T): T {
    const more = Object.keys(this.fields).find((name) => !this.asked.has(name))
    if (more !== undefined) fail(this.path(more), 'there is no such field')
    return value
  }

  path(name: string): string {
    return this.where ? `${this.where}.${name}` : name
  }
}

function fail(where: string, why: string): never {
  throw new BundleError(`the bundle is not valid at ${where || 'top'}: ${why}`)
}

function bytesOf(where: string, value: unknown, least: number, most: number): Uint8Array {
  if (typeof value !== 'string') fail(where, 'hexadecimal text is needed')
  if (value.length > 2 * most || value.length < 2 * least) {
    fail(where, least === most ? `${most} bytes are needed` : `at most ${most} bytes are allowed`)
  }
  try {
    return unhex(value)
  } catch (error) {
    fail(where, (error as Error).message)
  }
}

export const BLOCK = 2 ** 32

/** Read a bundle's text. Throws BundleError. */
export function readBundle(source: string): Bundle {
  const top = Part.parse(source, FORMAT)
  return top.done({
    ...whereOf(top),
    job: jobOf(top.part('job')),
    result: resultOf(top.part('result')),
    inclusion: top.has('inclusion') ? inclusionOf(top.part('inclusion')) : null,
  })
}

/** What a bundle of any kind holds: the chain, the model, the worker, and the evidence of a setup. */
export const whereOf = (top: Part): Pick<Bundle, 'chain' | 'model' | 'worker' | 'setupEvidence'> => ({
  chain: chainOf(top.part('chain')),
  model: modelOf(top.part('model')),
  worker: workerOf(top.part('worker')),
  setupEvidence: top.has('setup_evidence') ? setupOf(top.part('setup_evidence')) : null,
})

function inclusionOf(part: Part): InclusionPart {
  const changes = part.list('changes', 256).map((one, i) => justified(Part.of(part.path(`changes.${i}`), one)))
  const nodes = part.list('nodes', 512).map((one) => bytesOf(part.path('nodes'), one, 0, 1 << 20))
  return part.done({ ...final(part), changes, nodes })
}

const final = (part: Part): FinalBlock => ({
  header: part.bytes('header', 0, 1 << 18),
  justification: part.bytes('justification', 0, 1 << 20),
})

const justified = (part: Part): FinalBlock => part.done(final(part))

const chainOf = (part: Part): Bundle['chain'] =>
  part.done({ genesis: part.hash('genesis'), name: part.text('name', 128), type: part.text('type', 32) })

const jobOf = (part: Part): Bundle['job'] =>
  part.done({
    id: part.hash('id'),
    client: part.hash('client'),
    model: part.hash('model'),
    inputCommitment: part.hash('input_commitment'),
    minLevel: part.oneOf('min_level', LEVELS),
    allowDevSetup: part.flag('allow_dev_setup'),
    deadline: part.number('deadline', BLOCK),
    submittedAt: part.number('submitted_at', BLOCK),
  })

const resultOf = (part: Part): Bundle['result'] =>
  part.done({
    worker: part.hash('worker'),
    level: part.oneOf('level', LEVELS),
    setup: part.bytes('setup', 0, 2),
    outputCommitment: part.hash('output_commitment'),
    proof: part.bytes('proof', 0, 16_384),
    sealedOutput: part.bytes('sealed_output', 0, 65_536),
    receiptBlock: part.number('receipt_block', BLOCK),
    receiptSignature: part.bytes('receipt_signature', 64, 64),
    block: part.number('block', BLOCK),
  })

function modelOf(part: Part): Bundle['model'] {
  const files = part.entries('files')
  if (files.length > 33) fail(part.path('files'), 'at most 33 files are allowed')
  return part.done({
    publisher: part.hash('publisher'),
    name: part.text('name', 64),
    lane: part.oneOf('lane', ['ezkl', 'groth16'] as const),
    weightsDigest: part.hash('weights_digest'),
    manifestHash: part.hash('manifest_hash'),
    vkHash: part.hash('vk_hash'),
    circuitDigest: part.hash('circuit_digest'),
    keyHash: part.hash('key_hash'),
    verifier: part.bytes('verifier', 20, 20),
    contractCode: part.bytes('contract_code', 0, 1 << 20),
    files: new Map(files.map(([name, data]) => [name, bytesOf(part.path('files'), data, 0, 64 << 20)])),
  })
}

const quoteOf = (part: Part): QuotePart => ({
  quote: part.bytes('quote', 0, 16_384),
  collateral: part.bytes('collateral', 0, 65_536),
  time: part.number('time', Number.MAX_SAFE_INTEGER),
})

function workerOf(part: Part): Bundle['worker'] {
  const attestation = part.part('attestation')
  return part.done({
    level: part.oneOf('level', LEVELS),
    measurement: part.hash('measurement'),
    hpkeKey: part.bytes('hpke_key', 0, 1_216),
    receiptKey: part.hash('receipt_key'),
    epoch: part.number('epoch', BLOCK),
    quoteHash: part.hash('quote_hash'),
    blockHash: part.hash('block_hash'),
    attestation: attestation.done(quoteOf(attestation)),
  })
}

const setupOf = (part: Part): Bundle['setupEvidence'] =>
  part.done({ ...quoteOf(part), blockHash: part.hash('block_hash') })
