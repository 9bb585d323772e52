// JSON that every parser reads alike, and RFC 8785 for what is hashed or signed: as proofward/protocol/strict_json.py and proofward/aci/jcs.py have it.

const DEPTH = 64

/** A number that was written with a fraction or an exponent: to Python it is no integer. */
export class Float {
  constructor(readonly value: number) {}
}

export type Value = null | boolean | string | number | bigint | Float | Value[] | Fields
export interface Fields {
  [name: string]: Value
}

/** Throws for what is no JSON, a name twice, a number that no double holds, a lone surrogate, or too deep nesting. */
export function parseStrict(data: Uint8Array, limit: number): Value {
  if (data.length > limit) throw new Error(`it has ${data.length} bytes, above ${limit}`)
  let source: string
  try {
    source = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data)
  } catch {
    throw new Error('it is no JSON in UTF-8')
  }
  const reader = new Parser(source)
  return reader.whole()
}

class Parser {
  private at = 0

  constructor(private readonly source: string) {}

  whole(): Value {
    const found = this.value(0)
    this.space()
    return this.at === this.source.length ? found : this.fail()
  }

  private fail(): never {
    throw new Error('it is no JSON in UTF-8')
  }

  private match(pattern: RegExp): string | null {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.source)?.[0] ?? null
    if (found !== null) this.at += found.length
    return found
  }

  // white space and strings in loops: on millions of characters V8's expressions overflow their stack
  private space(): void {
    while (' \t\n\r'.includes(this.source[this.at] ?? 'end')) this.at++
  }

  private take(letter: string): boolean {
    this.space()
    const there = this.source.startsWith(letter, this.at)
    if (there) this.at += letter.length
    return there
  }

  private value(depth: number): Value {
    if (depth > DEPTH) throw new Error(`it is nested beyond ${DEPTH}`)
    this.space()
    switch (this.source[this.at]) {
      case '{':
        return this.object(depth)
      case '[':
        return this.list(depth)
      case '"':
        return this.string()
    }
    const word = this.match(/true|false|null/y)
    if (word) return word === 'null' ? null : word === 'true'
    const raw = this.match(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y) ?? this.fail()
    return number(raw)
  }

  private string(): string {
    if (this.source[this.at] !== '"') this.fail()
    let end = this.at + 1
    while (end < this.source.length && this.source[end] !== '"') end += this.source[end] === '\\' ? 2 : 1
    let value: string
    try {
      value = JSON.parse(this.source.slice(this.at, end + 1)) // it knows what may stand in a string
    } catch {
      this.fail()
    }
    this.at = end + 1
    if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value)) this.fail()
    return value
  }

  private list(depth: number): Value[] {
    this.at++
    const found: Value[] = []
    if (this.take(']')) return found
    do found.push(this.value(depth + 1))
    while (this.take(','))
    return this.take(']') ? found : this.fail()
  }

  private object(depth: number): Fields {
    this.at++
    const found: Fields = Object.create(null)
    if (this.take('}')) return found
    do {
      this.space()
      const name = this.string()
      if (name in found) throw new Error('an object names a member twice')
      if (!this.take(':')) this.fail()
      found[name] = this.value(depth + 1)
    } while (this.take(','))
    return this.take('}') ? found : this.fail()
  }
}

function number(raw: string): Value {
  const value = Number(raw)
  if (!Number.isFinite(value)) throw new Error('a number is beyond a double')
  if (/[.eE]/.test(raw)) return new Float(value)
  return Number.isSafeInteger(value) ? value : BigInt(raw)
}

/** The RFC 8785 form. Throws for an integer beyond 2^53. */
export function canonical(value: Value): string {
  if (typeof value === 'bigint') throw new Error('it has no canonical form: an integer is beyond 2^53')
  if (value instanceof Float) return JSON.stringify(value.value)
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (value !== null && typeof value === 'object') {
    const names = Object.keys(value).sort()
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name] as Value)}`).join(',')}}`
  }
  return JSON.stringify(value)
}

// What a value must be; each throws for another.
function wrong(): never {
  throw new Error('a member is missing, or is of another kind')
}

export const isFields = (value: Value | undefined): value is Fields =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof Float)
export const fieldsOf = (value: Value | undefined): Fields => (isFields(value) ? value : wrong())
export const stringOf = (value: Value | undefined): string => (typeof value === 'string' ? value : wrong())
export const integerOf = (value: Value | undefined): number =>
  typeof value === 'number' && value >= 0 ? value : wrong()

/** Standard base64, with its padding and nothing else. */
export function base64Of(value: Value | undefined): Uint8Array {
  const written = stringOf(value)
  const padding = written.endsWith('==') ? 2 : written.endsWith('=') ? 1 : 0
  if (written.length % 4 || /[^A-Za-z0-9+/]/.test(written.slice(0, written.length - padding))) wrong()
  const letters = atob(written)
  const found = new Uint8Array(letters.length)
  for (let at = 0; at < found.length; at++) found[at] = letters.charCodeAt(at)
  return found
}
