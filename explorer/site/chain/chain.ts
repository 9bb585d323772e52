// A chain as this browser reads it: blocks, state, calls and events, whoever answers for them.
import { concat, hex0x, Reader, unhex, utf8 } from '../verify/bytes.js'
import type { Check } from '../verify/check.js'
import { blake2 } from '../verify/hashes.js'
import { type Metadata, readMetadata } from './metadata.js'
import { twox } from './twox.js'
import { bytesOf, Choice, readValue, type Struct, structOf, type Value } from './values.js'
import { MAX_ANSWER, NodeError } from './wire.js'

export interface Call {
  readonly pallet: string
  readonly name: string
  readonly args: Struct
  readonly signer: Uint8Array | null
}

export interface Extrinsic {
  readonly hash: string
  readonly calls: readonly Call[]
}

export interface Head {
  readonly hash: string
  readonly number: number
}

export interface Event {
  readonly pallet: string
  readonly name: string
  readonly fields: Value
}

export abstract class Chain {
  /** Who answers, as a reader is told: `the node at ws://…`. */
  abstract readonly name: string
  /** Whose word a figure is. */
  abstract readonly witness: string
  /** Whom a reader of it believes, as a half sentence. */
  abstract readonly believed: string
  /** Whether each answer was proved to this browser. */
  abstract readonly proved: boolean
  abstract readonly genesis: string
  /** The runtime that was read last: a block's own is most likely the same. */
  private likely: Metadata | null = null
  private readonly runtimes = new Map<number, Promise<Metadata>>()
  private readonly versions = new Map<string, Promise<number>>()

  abstract rpc(method: string, ...params: unknown[]): Promise<unknown>
  /** Whoever asked for it needs it no more. */
  abstract release(): void
  /** How the chain was read. */
  abstract reading(): Promise<Check>
  /** The hash of the finalised head under which this chain is read, and the head. */
  abstract headHash(): Promise<string>
  abstract finalised(): Promise<Head>
  /** The hash of a finalised block. Throws NodeError when there is none. */
  abstract blockHash(number: number): Promise<string>
  protected abstract version(at: string): Promise<number>

  /** The metadata of the runtime that a block was made under; fetched once a version. */
  async metadata(at: string): Promise<Metadata> {
    const asked = this.versions.get(at) ?? this.version(at)
    this.versions.set(at, asked)
    const version = await asked.catch((error: unknown) => {
      this.versions.delete(at)
      throw error
    })
    const known = this.runtimes.get(version)
    if (known) return known
    const made = this.rpc('state_getMetadata', at).then((data) => this.keep(data))
    this.runtimes.set(version, made)
    made.catch(() => this.runtimes.delete(version))
    return made
  }

  /** Metadata in hexadecimal, by the version that it says it is of. */
  protected keep(data: unknown): Metadata {
    const read = readMetadata(unhex(String(data).slice(2)))
    this.runtimes.set(read.version, Promise.resolve(read))
    this.likely = read
    return read
  }

  /**
   * An answer that depends on a block's runtime, and that runtime. It is asked for under the likely one while the
   * block's own is still asked for, and again if that is another.
   */
  private async under(at: string, ask: (metadata: Metadata) => Promise<unknown>): Promise<[Metadata, unknown]> {
    const own = this.metadata(at)
    const likely = this.likely
    const early = likely && Promise.resolve(likely).then(ask)
    early?.catch(() => {})
    const metadata = await own
    return [metadata, await (early && metadata === likely ? early : ask(metadata))]
  }

  /** A storage item at a block; `keys` are SCALE. Null when there is none, unless the item has a default. */
  async query(at: string, item: string, keys: readonly Uint8Array[] = [], fallback = false): Promise<Value> {
    const [metadata, found] = await this.under(at, (known) =>
      this.rpc('state_getStorage', hex0x(storageKey(known, item, keys)), at),
    )
    const kind = metadata.storage.get(item)
    if (typeof found !== 'string')
      return fallback && kind ? readValue(metadata, kind.value, new Reader(kind.fallback)) : null
    return readValue(metadata, kind?.value ?? -1, new Reader(unhex(found.slice(2))))
  }

  /** The value of a raw key of a map. */
  async item(at: string, item: string, key: Uint8Array): Promise<Value> {
    const [metadata, found] = await Promise.all([this.metadata(at), this.rpc('state_getStorage', hex0x(key), at)])
    if (typeof found !== 'string') return null
    return readValue(metadata, metadata.storage.get(item)?.value ?? -1, new Reader(unhex(found.slice(2))))
  }

  /** The raw keys of a map, or of those of its entries that begin with `first`, up to `limit`. */
  async keys(at: string, item: string, limit: number, first: readonly Uint8Array[] = []): Promise<Uint8Array[]> {
    const [, found] = await this.under(at, (known) => {
      const prefix = hex0x(storageKey(known, item, first))
      return this.rpc('state_getKeysPaged', prefix, limit, prefix, at)
    })
    return (found as string[]).map((one) => unhex(one.slice(2)))
  }

  async call(at: string, method: string, params: Uint8Array): Promise<Uint8Array> {
    return unhex(String(await this.rpc('state_call', method, hex0x(params), at)).slice(2))
  }

  /** Unix milliseconds of a block. */
  async timestamp(at: string): Promise<number> {
    return Number(await this.query(at, 'Timestamp.Now'))
  }

  /** Every call of a block, those inside batch, proxy and sudo too, with who signed the extrinsic. */
  async calls(at: string): Promise<Call[]> {
    return (await this.extrinsics(at)).flatMap((one) => one.calls)
  }

  /** The extrinsics of a block, in order: the hash of each, and its calls, the outer one first. */
  async extrinsics(at: string): Promise<Extrinsic[]> {
    const [metadata, found] = await Promise.all([this.metadata(at), this.rpc('chain_getBlock', at)])
    const block = found as { block: { extrinsics: string[] } } | null
    if (!block) throw new NodeError(`${this.name} no longer has block ${at}: ask an archive node`)
    return block.block.extrinsics.map((one) => {
      const data = unhex(one.slice(2))
      return { hash: hex0x(blake2(data, 32)), calls: callsOf(metadata, data) }
    })
  }

  /** Names and fields of a block's events. */
  async events(at: string): Promise<Event[]> {
    const value = await this.query(at, 'System.Events')
    return (Array.isArray(value) ? value : []).map((record) => {
      const outer = structOf(record).event
      if (!(outer instanceof Choice) || !(outer.content instanceof Choice))
        return { pallet: '', name: '', fields: null }
      return { pallet: outer.name, name: outer.content.name, fields: outer.content.content }
    })
  }
}

/** The key of a storage item, or its prefix when keys are left out. */
export function storageKey(metadata: Metadata, item: string, keys: readonly Uint8Array[]): Uint8Array {
  const found = metadata.storage.get(item)
  if (!found) throw new NodeError(`the chain has no storage item ${item}: is it a Proofward chain?`)
  const [pallet, name] = item.split('.') as [string, string]
  return concat(
    twox(utf8(pallet), 2),
    twox(utf8(name), 2),
    ...keys.map((key, i) => hashed(found.hashers[i] ?? -1, key)),
  )
}

function hashed(hasher: number, key: Uint8Array): Uint8Array {
  switch (hasher) {
    case 0:
      return blake2(key, 16)
    case 1:
      return blake2(key, 32)
    case 2:
      return concat(blake2(key, 16), key)
    case 3:
      return twox(key, 2)
    case 4:
      return twox(key, 4)
    case 5:
      return concat(twox(key, 1), key)
    case 6:
      return key
    default:
      throw new NodeError('a storage item is keyed in a way that is not understood')
  }
}

const SIGNED = 0x84

function callsOf(metadata: Metadata, data: Uint8Array): Call[] {
  const from = new Reader(data)
  from.count(MAX_ANSWER)
  let signer: Uint8Array | null = null
  const version = from.unsigned(1)
  if (version === SIGNED) {
    if (from.unsigned(1) !== 0) return []
    signer = from.take(32)
    from.take(from.unsigned(1) === 2 ? 65 : 64)
    for (const type of metadata.extensions) readValue(metadata, type, from)
  } else if (version & 0x80 || (version & 0x7f) > 5) return []
  return nested(readValue(metadata, metadata.call, from), signer)
}

function nested(value: Value, signer: Uint8Array | null): Call[] {
  if (Array.isArray(value)) return value.flatMap((one) => nested(one, signer))
  if (!(value instanceof Choice)) return []
  const inner = value.content
  if (!(inner instanceof Choice)) return []
  const args =
    inner.content !== null &&
    typeof inner.content === 'object' &&
    !Array.isArray(inner.content) &&
    !(inner.content instanceof Uint8Array) &&
    !(inner.content instanceof Choice)
      ? inner.content
      : {}
  const own: Call = { pallet: value.name, name: inner.name, args, signer }
  return [own, ...nested(args.call ?? null, signer), ...nested(args.calls ?? null, signer)]
}

/** A field of bytes of a call. */
export const argument = (call: Call, name: string): Uint8Array => bytesOf(call.args[name], name)
