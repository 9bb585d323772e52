// SCALE values by a runtime's metadata. Bytes stay bytes; signed numbers and those of 64 bits and more are BigInt.
import { type Reader, text } from '../verify/bytes.js'
import type { Field, Metadata } from './metadata.js'

export type Value = null | boolean | number | bigint | string | Uint8Array | Value[] | Choice | Struct
export interface Struct {
  [name: string]: Value
}

/** A variant of an enum, with what it carries. */
export class Choice {
  constructor(
    readonly name: string,
    readonly content: Value,
  ) {}
}

const WIDTHS: Record<string, number> = { u8: 1, u16: 2, u32: 4, u64: 8, u128: 16, u256: 32 }
const DEPTH = 64
const MANY = 1 << 22

/** Read a value of a type. Throws for bytes that are none. */
export function readValue(metadata: Metadata, type: number, from: Reader, depth = 0): Value {
  const found = metadata.types.get(type)
  if (!found || depth > DEPTH) throw new Error('a value of the chain cannot be read')
  const read = (of: number): Value => readValue(metadata, of, from, depth + 1)
  switch (found.kind) {
    case 'primitive':
      return primitive(found.name, from)
    case 'compact':
      return compact(from)
    case 'sequence':
      if (isByte(metadata, found.of)) return from.take(from.count(MANY))
      return Array.from({ length: from.count(MANY) }, () => read(found.of))
    case 'array':
      if (isByte(metadata, found.of)) return from.take(found.length)
      return Array.from({ length: found.length }, () => read(found.of))
    case 'tuple':
      return found.of.length === 1 ? read(found.of[0] as number) : found.of.map(read)
    case 'composite':
      return fields(found.fields, read)
    case 'variant': {
      const variant = found.variants.get(from.unsigned(1))
      if (!variant) throw new Error('a value of the chain has a variant that its metadata has not')
      const content = fields(variant.fields, read)
      if (found.path.at(-1) === 'Option') return variant.name === 'None' ? null : content
      return new Choice(variant.name, content)
    }
    default:
      throw new Error('a value of the chain has a type that is not understood')
  }
}

function fields(list: readonly Field[], read: (type: number) => Value): Value {
  if (!list.length) return null
  if (list.every((one) => one.name === null)) {
    return list.length === 1 ? read((list[0] as Field).type) : list.map((one) => read(one.type))
  }
  const found: Struct = {}
  for (const one of list) found[one.name ?? ''] = read(one.type)
  return found
}

const isByte = (metadata: Metadata, type: number): boolean => {
  const found = metadata.types.get(type)
  return found?.kind === 'primitive' && found.name === 'u8'
}

function primitive(name: string, from: Reader): Value {
  if (name === 'bool') return from.unsigned(1) === 1
  if (name === 'str') return text(from.take(from.count(MANY)))
  const width = WIDTHS[name.replace(/^i/, 'u')]
  if (!width) throw new Error(`a value of the chain has the type ${name}, which is not understood`)
  if (name.startsWith('u') && width <= 4) return from.unsigned(width as 1 | 2 | 4)
  const value = from.take(width).reduceRight((sum, byte) => (sum << 8n) + BigInt(byte), 0n)
  return name.startsWith('i') ? BigInt.asIntN(8 * width, value) : value
}

function compact(from: Reader): Value {
  const first = from.unsigned(1)
  const mode = first & 3
  if (mode === 0) return first >> 2
  const rest = from.take(mode === 3 ? (first >> 2) + 4 : 2 ** mode - 1)
  const value = rest.reduceRight((sum, byte) => (sum << 8n) + BigInt(byte), 0n)
  return mode === 3 ? value : Number((value << 6n) + BigInt(first >> 2))
}

// What a value must be; each throws for another.
function wrong(what: string): never {
  throw new Error(`the chain's record is of another version: ${what} is not there`)
}

export const structOf = (value: Value | undefined, what = 'a record'): Struct =>
  value !== null &&
  typeof value === 'object' &&
  !Array.isArray(value) &&
  !(value instanceof Uint8Array) &&
  !(value instanceof Choice)
    ? value
    : wrong(what)
export const bytesOf = (value: Value | undefined, what = 'a field of bytes'): Uint8Array =>
  value instanceof Uint8Array ? value : wrong(what)
export const choiceOf = (value: Value | undefined, what = 'a choice'): Choice =>
  value instanceof Choice ? value : wrong(what)
export const listOf = (value: Value | undefined, what = 'a list'): Value[] =>
  Array.isArray(value) ? value : wrong(what)
export const numberOf = (value: Value | undefined, what = 'a number'): number =>
  typeof value === 'number'
    ? value
    : typeof value === 'bigint' && value <= BigInt(Number.MAX_SAFE_INTEGER)
      ? Number(value)
      : wrong(what)
export const amountOf = (value: Value | undefined, what = 'an amount'): bigint =>
  typeof value === 'bigint' ? value : typeof value === 'number' ? BigInt(value) : wrong(what)
