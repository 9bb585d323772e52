// A block's header (SCALE), and what GRANDPA says in it: as proofward/consensus/header.py reads it.
import { hex, Reader } from './bytes.js'
import { blake2 } from './hashes.js'

const MAX_HEADER = 256 * 1024
const MAX_AUTHORITIES = 1024
const MAX_ITEMS = 64
const GRANDPA = '46524e4b'
const OTHER = 0
const CONSENSUS = 4
const SEAL = 5
const PRE_RUNTIME = 6
const UPDATED = 8

/** Ed25519 keys (hex) and weights, each key once. */
export type Voters = ReadonlyMap<string, bigint>

export interface Header {
  readonly hash: Uint8Array
  readonly parent: Uint8Array
  readonly number: number
  readonly stateRoot: Uint8Array
  /** Who finalises from the block after it on, when it says that they change. */
  readonly nextAuthorities: Voters | null
}

/** Decode exactly `data`. Throws for anything else, and for changes of authorities by force or with a delay. */
export function decodeHeader(data: Uint8Array): Header {
  const reader = new Reader(data)
  const header = readHeader(reader, data)
  if (reader.left) throw new Error('bytes are left behind a header')
  return header
}

/** The next header; `whole` is what the reader reads. */
export function readHeader(reader: Reader, whole: Uint8Array): Header {
  const start = whole.length - reader.left
  const parent = reader.take(32)
  const number = reader.compact()
  const stateRoot = reader.take(32)
  reader.take(32)
  let nextAuthorities: Voters | null = null
  for (let left = reader.count(MAX_ITEMS); left > 0; left--) {
    const found = item(reader)
    if (found && nextAuthorities) throw new Error('a header changes the authorities twice')
    nextAuthorities = found ?? nextAuthorities
  }
  const end = whole.length - reader.left
  if (end - start > MAX_HEADER) throw new Error('a header is above its bound')
  return { hash: blake2(whole.subarray(start, end)), parent, number, stateRoot, nextAuthorities }
}

function item(reader: Reader): Voters | null {
  const kind = reader.unsigned(1)
  if (kind === UPDATED) return null
  if (![OTHER, CONSENSUS, SEAL, PRE_RUNTIME].includes(kind)) throw new Error('a digest item is of no known kind')
  const engine = kind === OTHER ? '' : hex(reader.take(4))
  const content = new Reader(reader.take(reader.count(MAX_HEADER)))
  return kind === CONSENSUS && engine === GRANDPA ? change(content) : null
}

function change(reader: Reader): Voters | null {
  const kind = reader.unsigned(1)
  if (kind === 2) throw new Error('authorities were changed by force, which no justification covers')
  if (kind !== 1) return null
  const voters = readVoters(reader)
  if (reader.unsigned(4) !== 0) throw new Error('a change of authorities waits for later blocks')
  if (reader.left) throw new Error('bytes are left behind a change of authorities')
  return voters
}

export function readVoters(reader: Reader): Voters {
  const voters = new Map<string, bigint>()
  const count = reader.count(MAX_AUTHORITIES)
  for (let i = 0; i < count; i++) voters.set(hex(reader.take(32)), reader.long())
  if (!count || voters.size !== count || [...voters.values()].includes(0n)) {
    throw new Error('a list of authorities is empty, names one twice, or gives one no weight')
  }
  return voters
}
