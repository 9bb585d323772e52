// JSON that has one encoding: as Python writes it with sorted keys, no spaces and ASCII alone. A manifest's hash
// names its bytes, so that other bytes of the same meaning are no manifest.

/** A number as it was written: 1 and 1.0 are two. */
export class Num {
  constructor(readonly raw: string) {}

  get value(): number {
    return Number(this.raw)
  }
}

export type Json = null | boolean | string | Num | Json[] | { [key: string]: Json }

const DEPTH = 32

/** Parse. Throws for what is not in the one encoding. */
export function parseCanonical(data: Uint8Array): Json {
  const source = new TextDecoder('utf-8', { fatal: true }).decode(data)
  let at = 0
  const fail = (): never => {
    throw new Error('manifest is not canonical JSON; compile the model again')
  }
  const take = (letter: string): boolean => {
    const there = source.startsWith(letter, at)
    if (there) at += letter.length
    return there
  }

  function string(): string {
    const found = /"(?:[ !#-[\]-~]|\\(?:["\\bfnrt]|u[0-9a-f]{4}))*"/y
    found.lastIndex = at
    const written = found.exec(source)?.[0] ?? fail()
    at += written.length
    const value = JSON.parse(written) as string
    if (asciiString(value) !== written) fail()
    return value
  }

  function value(depth: number): Json {
    if (depth > DEPTH) fail()
    if (take('null')) return null
    if (take('true')) return true
    if (take('false')) return false
    if (source[at] === '"') return string()
    if (take('[')) {
      const list: Json[] = []
      if (take(']')) return list
      do list.push(value(depth + 1))
      while (take(','))
      return take(']') ? list : fail()
    }
    if (take('{')) {
      const fields: { [key: string]: Json } = Object.create(null)
      let last: string | null = null
      if (take('}')) return fields
      do {
        const key = string()
        if (!take(':') || (last !== null && !before(last, key))) fail()
        fields[key] = value(depth + 1)
        last = key
      } while (take(','))
      return take('}') ? fields : fail()
    }
    const found = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]\d\d+)?/y
    found.lastIndex = at
    const raw = found.exec(source)?.[0] ?? fail()
    at += raw.length
    const whole = /^-?\d+$/.test(raw)
    return (whole && raw !== '-0') || floatText(Number(raw)) === raw ? new Num(raw) : fail()
  }

  const parsed = value(0)
  return at === source.length ? parsed : fail()
}

/** Whether a comes before b by code points, as Python sorts. */
function before(a: string, b: string): boolean {
  const [left, right] = [Array.from(a), Array.from(b)]
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = (left[i]?.codePointAt(0) as number) - (right[i]?.codePointAt(0) as number)
    if (difference) return difference < 0
  }
  return left.length < right.length
}

function asciiString(value: string): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** A finite float as Python's repr has it. */
export function floatText(x: number): string {
  if (Object.is(x, -0)) return '-0.0'
  const [digits, power] = x.toExponential().split('e') as [string, string]
  const exponent = Number(power)
  if (exponent < -4 || exponent >= 16) {
    return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  }
  const plain =
    exponent >= 0
      ? Math.abs(x) < 1e21
        ? String(x)
        : digits
      : x.toFixed(Math.max(0, (digits.split('.')[1]?.length ?? 0) - exponent))
  return plain.includes('.') ? plain : `${plain}.0`
}
