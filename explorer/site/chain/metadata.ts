// A runtime's metadata (version 14): how its storage is keyed and its values are written.
import { Reader, text } from '../verify/bytes.js'

export type Type =
  | { kind: 'composite'; path: readonly string[]; fields: readonly Field[] }
  | { kind: 'variant'; path: readonly string[]; variants: ReadonlyMap<number, Variant> }
  | { kind: 'sequence'; of: number }
  | { kind: 'array'; length: number; of: number }
  | { kind: 'tuple'; of: readonly number[] }
  | { kind: 'primitive'; name: string }
  | { kind: 'compact'; of: number }
  | { kind: 'other' }

export interface Field {
  readonly name: string | null
  readonly type: number
}

interface Variant {
  readonly name: string
  readonly fields: readonly Field[]
}

export interface StorageItem {
  readonly hashers: readonly number[]
  readonly value: number
  readonly fallback: Uint8Array
}

export interface Constant {
  readonly type: number
  readonly value: Uint8Array
}

export interface Metadata {
  /** Of the runtime, as it says itself. */
  readonly version: number
  readonly types: ReadonlyMap<number, Type>
  /** By `Pallet.Item`. */
  readonly storage: ReadonlyMap<string, StorageItem>
  /** By `Pallet.Name`. */
  readonly constants: ReadonlyMap<string, Constant>
  /** Types of what a signed extrinsic carries before its call. */
  readonly extensions: readonly number[]
  readonly call: number
  readonly event: number
}

const PRIMITIVES = [
  'bool',
  'char',
  'str',
  'u8',
  'u16',
  'u32',
  'u64',
  'u128',
  'u256',
  'i8',
  'i16',
  'i32',
  'i64',
  'i128',
  'i256',
]
const MANY = 1 << 20

/** Parse metadata. Throws for another version. */
export function readMetadata(data: Uint8Array): Metadata {
  const from = new Reader(data)
  if (text(from.take(4)) !== 'meta' || from.unsigned(1) !== 14)
    throw new Error('the node gives metadata of a version that is not understood')
  const index = () => from.compact()
  const string = () => text(from.take(from.count(MANY)))
  /** Names and documents that nobody reads here; decoding them would be half of the work. */
  const skip = () => {
    from.take(from.count(MANY))
  }
  const many = <T>(read: () => T): T[] => Array.from({ length: from.count(MANY) }, read)
  const skipped = () => {
    for (let left = from.count(MANY); left > 0; left--) skip()
  }
  const maybe = <T>(read: () => T): T | null => (from.unsigned(1) ? read() : null)
  const field = (): Field => {
    const name = maybe(string)
    const type = index()
    maybe(skip)
    skipped()
    return { name, type }
  }
  const typeOf = (): Type => {
    const path = many(string)
    for (let left = from.count(MANY); left > 0; left--) {
      skip()
      maybe(index)
    }
    const found = definition(path)
    skipped()
    return found
  }
  const definition = (path: readonly string[]): Type => {
    switch (from.unsigned(1)) {
      case 0:
        return { kind: 'composite', path, fields: many(field) }
      case 1:
        return { kind: 'variant', path, variants: new Map(many(variant)) }
      case 2:
        return { kind: 'sequence', of: index() }
      case 3: {
        const length = from.unsigned(4)
        return { kind: 'array', length, of: index() }
      }
      case 4:
        return { kind: 'tuple', of: many(index) }
      case 5:
        return { kind: 'primitive', name: PRIMITIVES[from.unsigned(1)] ?? 'unknown' }
      case 6:
        return { kind: 'compact', of: index() }
      default:
        index()
        index()
        return { kind: 'other' }
    }
  }
  const variant = (): [number, Variant] => {
    const [name, fields] = [string(), many(field)]
    const number = from.unsigned(1)
    skipped()
    return [number, { name, fields }]
  }
  const types = new Map(many((): [number, Type] => [index(), typeOf()]))
  const storage = new Map<string, StorageItem>()
  const constants = new Map<string, Constant>()
  many(() => {
    const pallet = string()
    maybe(() => {
      const prefix = string()
      many(() => {
        const name = string()
        from.unsigned(1)
        const item = from.unsigned(1)
          ? { hashers: many(() => from.unsigned(1)), key: index(), value: index() }
          : { hashers: [], value: index() }
        storage.set(`${prefix}.${name}`, { ...item, fallback: from.take(from.count(MANY)) })
        skipped()
      })
    })
    maybe(index)
    maybe(index)
    many(() => {
      constants.set(`${pallet}.${string()}`, { type: index(), value: from.take(from.count(MANY)) })
      skipped()
    })
    maybe(index)
    from.unsigned(1)
    return pallet
  })
  index()
  from.unsigned(1)
  const extensions = many(() => [string(), index(), index()] as const).map(([, type]) => type)
  return {
    version: versionOf(constants),
    types,
    storage,
    constants,
    extensions,
    call: named(types, 'RuntimeCall'),
    event: named(types, 'EventRecord'),
  }
}

/** `spec_version` of the constant `System.Version`: two names, and the version of whoever wrote blocks, before it. */
function versionOf(constants: ReadonlyMap<string, Constant>): number {
  const found = constants.get('System.Version')
  if (!found) throw new Error("the chain's metadata does not say of which runtime it is")
  const from = new Reader(found.value)
  for (let names = 0; names < 2; names++) from.take(from.count(MANY))
  from.unsigned(4)
  return from.unsigned(4)
}

function named(types: ReadonlyMap<number, Type>, wanted: string): number {
  for (const [number, type] of types) if ('path' in type && type.path.at(-1) === wanted) return number
  throw new Error(`the chain's metadata has no type ${wanted}`)
}
