// DER, as much as X.509 takes (ITU-T X.690): every length in its shortest form, nothing behind an element.
import { bigEndian, equal } from './bytes.js'

export const SEQUENCE = 0x30
export const SET = 0x31
export const INTEGER = 2
export const BIT_STRING = 3
export const OCTET_STRING = 4
export const OID = 6
export const BOOLEAN = 1
const UTC_TIME = 0x17
const GENERALISED_TIME = 0x18

/** One element: its tag, its content, and itself whole. */
export interface Element {
  readonly tag: number
  readonly value: Uint8Array
  readonly raw: Uint8Array
}

/** The element at the front of `data`. Throws for what is not DER. */
function first(data: Uint8Array): Element {
  const [tag, short] = data
  if (tag === undefined || short === undefined || (tag & 31) === 31) throw new Error('it is not DER')
  let [length, header] = [short, 2]
  if (short & 128) {
    const width = short & 127
    const digits = data.subarray(2, 2 + width)
    length = Number(bigEndian(digits))
    header += width
    const shortest = width >= 1 && width <= 4 && digits.length === width && digits[0] !== 0 && length > 127
    if (!shortest) throw new Error('a length in it is not DER')
  }
  if (header + length > data.length) throw new Error('bytes of it are missing')
  return { tag, value: data.subarray(header, header + length), raw: data.subarray(0, header + length) }
}

/** The one element that `data` is. */
export function parse(data: Uint8Array): Element {
  const element = first(data)
  if (element.raw.length !== data.length) throw new Error('bytes are left behind it')
  return element
}

/** The elements of a constructed one, in order. */
export function children(element: Element): Element[] {
  if (!(element.tag & 32)) throw new Error('an element of it is not constructed')
  const found: Element[] = []
  for (let at = 0; at < element.value.length; ) {
    const next = first(element.value.subarray(at))
    found.push(next)
    at += next.raw.length
  }
  return found
}

/** The element, which must have this tag. */
export function expect(element: Element | undefined, tag: number): Element {
  if (element?.tag !== tag) throw new Error('an element of it has another type than it should')
  return element
}

/** The content of an object identifier written with dots. */
export function oid(dotted: string): Uint8Array {
  const [a, b, ...rest] = dotted.split('.').map(Number) as [number, number, ...number[]]
  const out: number[] = []
  for (const part of [40 * a + b, ...rest]) {
    const digits = [part % 128]
    for (let more = Math.floor(part / 128); more > 0; more = Math.floor(more / 128)) digits.unshift(128 + (more % 128))
    out.push(...digits)
  }
  return Uint8Array.from(out)
}

export const isOid = (element: Element | undefined, wanted: Uint8Array): boolean =>
  element?.tag === OID && equal(element.value, wanted)

/** A non-negative INTEGER without the zero in front. */
export function unsigned(element: Element | undefined): Uint8Array {
  const { value } = expect(element, INTEGER)
  if (!value.length || (value[0] as number) > 127) throw new Error('an integer of it is negative')
  return value[0] === 0 && value.length > 1 ? value.subarray(1) : value
}

/** The bytes of a BIT STRING of whole bytes. */
export function bits(element: Element | undefined): Uint8Array {
  const { value } = expect(element, BIT_STRING)
  if (value[0] !== 0) throw new Error('a bit string of it is not of whole bytes')
  return value.subarray(1)
}

/** A moment in Unix seconds (RFC 5280, 4.1.2.5: Zulu, with seconds). */
export function moment(element: Element | undefined): number {
  const long = element?.tag === GENERALISED_TIME
  if (!long && element?.tag !== UTC_TIME) throw new Error('a date of it is none')
  const written = String.fromCharCode(...(element as Element).value)
  const found = (long ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(
    written,
  )
  if (!found) throw new Error('a date of it is none')
  const [year, month, day, hour, minute, second] = found.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const full = long ? year : year < 50 ? 2000 + year : 1900 + year
  const at = Date.UTC(full, month - 1, day, hour, minute, second)
  if (new Date(at).getUTCDate() !== day || month > 12 || hour > 23 || minute > 59 || second > 59) {
    throw new Error('a date of it is none')
  }
  return at / 1000
}
