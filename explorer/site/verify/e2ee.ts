// What a gateway's answer has encrypted, opened with the client's key of this one request (E2EE v2), as
// proofward/aci/e2ee.py does: each field in its place, and none in plain text.
import { gcm } from '@noble/ciphers/aes.js'
import { x25519 } from '@noble/curves/ed25519.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { text, unhex, utf8 } from './bytes.js'
import { canonical, type Fields, isFields, parseStrict, type Value } from './strict-json.js'

const X25519 = 'x25519-aes-256-gcm-hkdf-sha256'
const SECP256K1 = 'secp256k1-aes-256-gcm-hkdf-sha256'
const POINT: Record<string, number> = { [X25519]: 32, [SECP256K1]: 65 }
const INFO: Record<string, string> = { [X25519]: 'aci.e2ee.v2.x25519', [SECP256K1]: 'aci.e2ee.v2.secp256k1' }
const [IV, TAG] = [12, 16]
const MAX_EVENT = 1 << 20
const MAX_ANSWER = 32 << 20

export interface Encryption {
  readonly suite: string
  readonly model: string
  readonly nonce: string
  readonly timestamp: number
  readonly key: Uint8Array
}

/** Throws for a key that is none of the suite's. */
export function encryptionOf(one: Encryption): Encryption {
  if (!(one.suite in POINT)) throw new Error("the suite is none of E2EE v2's")
  const good = one.suite === X25519 ? one.key.length === 32 : secp256k1.utils.isValidSecretKey(one.key)
  if (!good) throw new Error('it is no private key of the suite')
  return one
}

/** The answer in plain, JSON or events. Throws when a field does not open in its place, or is there in plain. */
export function opened(encryption: Encryption, endpoint: string, wire: Uint8Array): string {
  const source = new TextDecoder('latin1').decode(wire).trimStart()
  if (source.startsWith('{') || source.startsWith('[')) return document(encryption, endpoint, wire)
  return events(wire)
    .map((event) => openedEvent(encryption, endpoint, event))
    .join('')
}

function document(encryption: Encryption, endpoint: string, data: Uint8Array): string {
  const value = parseStrict(data, MAX_ANSWER)
  if (!isFields(value)) throw new Error('the answer is no object')
  openFields(encryption, endpoint, value)
  return canonical(value)
}

const END = /\r\n\r\n|\n\n|\r\r/g

const LAST = ['message_stop', 'response.completed', 'response.incomplete', 'response.failed']

/** Whether a stream has its last event and nothing cut off behind it; null of an answer that is one document. */
export function ended(wire: Uint8Array): boolean | null {
  const source = new TextDecoder('latin1').decode(wire)
  if (/^[\t-\r ]*\{/.test(source) && isFields(parsed(source, MAX_ANSWER))) return null
  const found = events(wire)
  const rest = found.length && !/(\r\n\r\n|\n\n|\r\r)$/.test(found.at(-1) as string) ? found.pop() : ''
  return found.some(ends) && !rest?.replace(/[\t-\r ]/g, '')
}

/** Whether a client may stop at this event, as `sse.ends` has it. */
function ends(event: string): boolean {
  const lines = event.split(/\r\n|\n|\r/)
  const member = (name: string): string[] =>
    lines.filter((line) => line.startsWith(name)).map((line) => line.slice(name.length).replace(/^ /, ''))
  const data = member('data:').join('\n')
  const value = parsed(data, MAX_EVENT)
  const kinds = [member('event:').at(-1), isFields(value) ? value.type : undefined]
  return data.startsWith('[DONE]') || kinds.some((kind) => typeof kind === 'string' && LAST.includes(kind))
}

/** JSON out of Latin-1 letters; null when it is none. */
function parsed(letters: string, limit: number): Value {
  try {
    return parseStrict(
      Uint8Array.from(letters, (letter) => letter.charCodeAt(0)),
      limit,
    )
  } catch {
    return null
  }
}

/** Server-sent events, each with its framing; the rest is one too. Bytes as Latin-1 letters. */
function events(wire: Uint8Array): string[] {
  const source = new TextDecoder('latin1').decode(wire)
  const found: string[] = []
  let begin = 0
  for (const end of source.matchAll(END)) {
    found.push(source.slice(begin, end.index + end[0].length))
    begin = end.index + end[0].length
  }
  if (begin < source.length) found.push(source.slice(begin))
  if (found.some((event) => event.length > MAX_EVENT)) throw new Error(`an event has more than ${MAX_EVENT} bytes`)
  return found
}

function openedEvent(encryption: Encryption, endpoint: string, event: string): string {
  const lines = event.split(/\r\n|\n|\r/)
  const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5).replace(/^ /, ''))
  const whole = data.join('\n')
  if (!data.length || whole === '[DONE]') return event
  const value = parseStrict(
    Uint8Array.from(whole, (letter) => letter.charCodeAt(0)),
    MAX_EVENT,
  )
  if (!isFields(value)) throw new Error('an event holds no object')
  openFields(encryption, endpoint, value)
  return `data: ${canonical(value)}\n\n`
}

const items = (value: Value | undefined): Fields[] =>
  Array.isArray(value) ? value.map((one) => (isFields(one) ? one : (Object.create(null) as Fields))) : []

const index = (item: Fields, position: number): number =>
  typeof item.index === 'number' && item.index >= 0 ? item.index : position

/** Every generated content of an answer, or of a chunk of one, in place. */
function openFields(encryption: Encryption, endpoint: string, body: Fields): void {
  const id = typeof body.id === 'string' ? body.id : ''
  const change = (of: Value | undefined, name: string, path: string): void => {
    if (isFields(of) && typeof of[name] === 'string')
      of[name] = openField(encryption, of[name], aad(encryption, path, id))
  }
  items(body.choices).forEach((choice, position) => {
    const path = `choices.${index(choice, position)}`
    if (endpoint === '/v1/completions') change(choice, 'text', `${path}.text`)
    for (const part of ['message', 'delta']) {
      for (const name of ['content', 'reasoning', 'reasoning_content'])
        change(choice[part], name, `${path}.${part}.${name}`)
    }
    if (isFields(choice.message)) change(choice.message.audio, 'data', `${path}.message.audio.data`)
  })
  if (endpoint !== '/v1/embeddings') return
  items(body.data).forEach((item, position) => {
    if (!('embedding' in item)) return
    const path = `data.${index(item, position)}.embedding`
    const plain = openField(encryption, item.embedding, aad(encryption, path, id))
    item.embedding = parseStrict(utf8(plain), 1 << 24)
  })
}

const aad = ({ suite, model, nonce, timestamp }: Encryption, field: string, id: string): Uint8Array =>
  utf8(canonical({ algo: suite, field, id, model, nonce, purpose: 'aci.e2ee.response.v2', ts: timestamp }))

function openField({ suite, key }: Encryption, sealed: Value | undefined, bound: Uint8Array): string {
  const point = POINT[suite] as number
  try {
    if (typeof sealed !== 'string' || sealed.length < 2 * (point + IV + TAG) || !/^[0-9a-f]+$/.test(sealed))
      throw new Error()
    const raw = unhex(sealed)
    const peer = raw.subarray(0, point)
    const secret =
      suite === X25519 ? x25519.getSharedSecret(key, peer) : secp256k1.getSharedSecret(key, peer).subarray(1)
    const derived = hkdf(sha256, secret, undefined, utf8(INFO[suite] as string), 32)
    return text(gcm(derived, raw.subarray(point, point + IV), bound).decrypt(raw.subarray(point + IV)))
  } catch {
    throw new Error('a field does not decrypt under this key in this place')
  }
}
