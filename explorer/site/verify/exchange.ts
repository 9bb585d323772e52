// One answer of a language model behind a gateway, with its receipt: the checks of `proofward verify ANSWER`, as
// proofward/evidence/answer.py has them. The file is the user's own; it holds the key that opens the answer.
import { hex, unhex, utf8 } from './bytes.js'
import { type Check, check, said } from './check.js'
import { type Encryption, encryptionOf, ended, opened } from './e2ee.js'
import { API_VERSION, appraise, type Channel, DEPLOYMENT, type Keyset, MAX_DOCUMENT, tagged } from './gateway.js'
import { sha256 } from './hashes.js'
import { stakeChecks } from './judged.js'
import type { Policy } from './policy.js'
import { verifySignature } from './protocol.js'
import {
  base64Of,
  canonical,
  type Fields,
  fieldsOf,
  integerOf,
  isFields,
  parseStrict,
  stringOf,
  type Value,
} from './strict-json.js'
import { type Verdict, verdictOf } from './verdict.js'

export const ANSWER_FORMAT = 'proofward/answer/v1'
const MAX_FILE = 128 << 20
const MAX_ANSWER = 32 << 20
const MAX_EVENTS = 64
const SLACK = 600
const SIMULATED = 'level simulated'
const LEGACY = 'legacy'
/** Members of a file with a proof of the chain's, and the lines of `proofward verify` about them. */
const PROOFS: Record<string, string> = { bond: 'stake on chain', anchor: 'anchored' }

export interface Exchange {
  readonly gateway: string
  /** Unix second of the attestation. */
  readonly at: number
  readonly nonce: string
  readonly report: Uint8Array
  readonly channel: Channel
  readonly endpoint: string
  readonly request: Uint8Array
  readonly response: Uint8Array
  readonly encryption: Encryption | null
  readonly receipt: Fields
  readonly session: Fields | null
  /** Names of the lines about the chain's proofs that the file keeps. */
  readonly proofs: readonly string[]
}

/** Read an answer's file. Throws for one that is none. */
export function readExchange(data: Uint8Array): Exchange {
  try {
    const value = fieldsOf(parseStrict(data, MAX_FILE))
    const channel = fieldsOf(value.channel)
    if (value.format !== ANSWER_FORMAT) throw new Error(`it is of another format than ${ANSWER_FORMAT}`)
    const nonce = stringOf(value.nonce)
    if (!/^[0-9a-f]{64}$/.test(nonce)) throw new Error('a nonce is 32 bytes in 64 lower-case hex digits')
    const request = base64Of(value.request)
    if (!isFields(parseStrict(request, MAX_ANSWER))) throw new Error('the request is no JSON object')
    return {
      gateway: stringOf(value.gateway),
      at: integerOf(value.at),
      nonce,
      report: base64Of(value.report),
      channel: {
        host: stringOf(channel.host),
        spki: stringOf(channel.spki_sha256),
        e2eeKey: channel.e2ee_key === null ? null : stringOf(channel.e2ee_key),
      },
      endpoint: stringOf(value.endpoint),
      request,
      response: base64Of(value.response),
      encryption: value.encryption === null ? null : sealedOf(fieldsOf(value.encryption)),
      receipt: fieldsOf(value.receipt),
      session: value.session === null ? null : fieldsOf(value.session),
      proofs: Object.entries(PROOFS)
        .filter(([member]) => (value[member] ?? null) !== null)
        .map(([, name]) => name),
    }
  } catch (error) {
    throw new Error(`it is no answer's file: ${(error as Error).message}`)
  }
}

const sealedOf = (value: Fields): Encryption =>
  encryptionOf({
    suite: stringOf(value.suite),
    model: stringOf(value.model),
    nonce: stringOf(value.nonce),
    timestamp: integerOf(value.timestamp),
    key: unhex(stringOf(value.client_key)),
  })

/** Every check of ACI's section 9, on these bytes alone. Never throws for bad evidence. */
export function verifyExchange(one: Exchange, policy: Policy): Verdict {
  const checks = checksOf(one, policy)
  const simulated = checks.some(({ name, detail }) => name === 'hardware' && detail.includes(SIMULATED))
  return verdictOf('', simulated ? ['simulated'] : [], checks)
}

function checksOf(one: Exchange, policy: Policy): Check[] {
  const found = appraise(one.report, one.nonce, one.channel, one.at, policy)
  const checks = [...found.checks, timeCheck(one.at, policy)]
  let events: Fields[]
  try {
    if (!found.keyset) throw new Error('without a keyset no receipt can be checked')
    events = receiptEvents(one.receipt, found.keyset)
  } catch (error) {
    return [...checks, check('receipt', false, (error as Error).message)]
  }
  const unsigned = { 'signed bytes': tagged(utf8(unsignedOf(one.receipt))), signature: String(one.receipt.signature) }
  checks.push(check('receipt', true, `${String(one.receipt.receipt_id)}, signed by the attested key`, unsigned))
  checks.push(...stakeChecks(unsignedOf(one.receipt), found.keyset.receipts.length))
  checks.push(frame(one), body('request', events, 'request.received', one.request), response(one, events))
  checks.push(...stream(one), opens(one))
  checks.push(...upstream(one, events, policy), ...weights(events), ...proved(events))
  checks.push(served(one, found.keyset, policy))
  const unread = 'a proof is here that this page does not read: `proofward verify --spec` does'
  checks.push(...one.proofs.map((name) => check(name, null, unread)))
  return checks
}

/** Whether the attestation is of the reader's past. */
export function timeCheck(at: number, policy: Policy): Check {
  const dated = at <= policy.now + SLACK
  return check('time', dated, `attested at ${at}${dated ? '' : ", in the reader's future"}`)
}

/** The gateway's word, unless it lies outside of what the reader knows. */
function served({ receipt, at }: Exchange, keyset: Keyset, { now }: Policy): Check {
  const named = receipt.served_at
  let time: number
  try {
    time = integerOf(named)
  } catch {
    return check('served at', false, 'the receipt has no time')
  }
  if (time < at - SLACK) return check('served at', false, `${time}: before the gateway was attested`)
  if (time > keyset.notAfter + SLACK) return check('served at', false, `${time}: after its keys ended`)
  if (time > now + SLACK) return check('served at', false, `${time}: in the reader's future`)
  return said('served at', `${time}: the gateway's own clock`)
}

/** What a receipt's signature is over. */
export function unsignedOf(receipt: Fields): string {
  const { signature: _, ...unsigned } = receipt
  return canonical(unsigned)
}

/** Signature and frame of a receipt (section 9.3, 1 and 2); its events. Throws. */
export function receiptEvents(receipt: Fields, keyset: Keyset): Fields[] {
  if (receipt.api_version !== API_VERSION) throw new Error('it is no receipt of aci/1')
  if (receipt.workload_keyset_digest !== keyset.digest) throw new Error('the receipt is of another keyset')
  const { signature } = receipt
  if (typeof signature !== 'string' || !/^[0-9a-f]{128}$/.test(signature))
    throw new Error('the receipt has no signature of 64 bytes in hex')
  const key = keyset.receipts.find((one) => one.id === receipt.key_id)
  if (!key) throw new Error('the receipt names a key that the keyset does not list')
  if (key.algorithm !== 'ed25519') throw new Error("the receipt's key has an algorithm that is not known")
  if (!/^[0-9a-fA-F]{64}$/.test(key.key)) throw new Error("the receipt's key is no Ed25519 key")
  if (!verifySignature(unhex(key.key), utf8(unsignedOf(receipt)), unhex(signature)))
    throw new Error("the receipt's signature does not verify")
  const log = receipt.event_log
  if (
    !Array.isArray(log) ||
    !log.length ||
    log.length > MAX_EVENTS ||
    !log.every(isFields) ||
    log[0]?.type !== 'request.received'
  )
    throw new Error("the receipt's first event is not request.received")
  return log
}

function frame({ receipt, endpoint, request }: Exchange): Check {
  const asked = fieldsOf(parseStrict(request, MAX_ANSWER)).model
  const good = receipt.endpoint === endpoint && same(receipt.model, asked)
  return check('model', good, good ? `'${String(asked)}' at ${endpoint}` : 'the receipt is of another call')
}

const same = (a: Value | undefined, b: Value | undefined): boolean =>
  a === undefined || b === undefined ? a === b : canonical(a) === canonical(b)

function oneEvent(events: readonly Fields[], kind: string): Fields {
  const found = events.filter((one) => one.type === kind)
  if (found.length !== 1) throw new Error(`the receipt has ${found.length} events ${kind}, not one`)
  return found[0] as Fields
}

function body(name: string, events: readonly Fields[], kind: string, data: Uint8Array): Check {
  const found = tagged(data)
  try {
    const stated = oneEvent(events, kind).body_hash
    const inputs = { bytes: `${data.length}`, computed: found, 'in the receipt': String(stated) }
    return check(
      name,
      stated === found,
      stated === found ? found : `${found}, the receipt says ${String(stated)}`,
      inputs,
    )
  } catch (error) {
    return check(name, false, (error as Error).message)
  }
}

function response({ response: wire }: Exchange, events: readonly Fields[]): Check {
  const ended = events.find((one) => one.type === 'response.aborted')
  if (ended) return check('response', false, `it ended early: ${String(ended.reason)}`)
  return body('response', events, 'response.returned', wire)
}

/** Whether a stream has its last event; none for an answer in one document. */
function stream({ response: wire }: Exchange): Check[] {
  let whole: boolean | null
  try {
    whole = ended(wire)
  } catch (error) {
    return [check('stream', false, (error as Error).message)]
  }
  if (whole === null) return []
  const cut = 'cut: it has no last event, so it is not the whole answer'
  return [check('stream', whole, whole ? 'ended: its last event is here' : cut)]
}

function opens({ encryption, endpoint, channel, response: wire }: Exchange): Check {
  if (!encryption) return said('encryption', 'none beside the attested TLS connection')
  if (channel.e2eeKey === null)
    return check('encryption', false, 'the file does not name the key that it was encrypted to')
  try {
    opened(encryption, endpoint, wire)
  } catch (error) {
    return check('encryption', false, (error as Error).message)
  }
  return check('encryption', true, `every field opens in its place, ${encryption.suite}`)
}

/** Whether a verified upstream served, and whether its own evidence says so too (sections 9.2 and 9.3). */
function upstream(one: Exchange, events: readonly Fields[], policy: Policy): Check[] {
  if (!events.some((event) => event.type === 'upstream.verified')) return [own(events)]
  try {
    const event = oneEvent(events, 'upstream.verified')
    if (event.result !== 'verified') {
      const asked = event.required === false
      const told = `unverified: ${String(event.reason)}`
      return [check('upstream', asked ? null : false, asked ? `${told}; the caller asked for it` : told)]
    }
    return session(one, String(event.session_id), policy)
  } catch (error) {
    return [check('upstream', false, (error as Error).message)]
  }
}

/** A model that the gateway has loaded or had proved is its own; of another one its configuration says so. */
function own(events: readonly Fields[]): Check {
  const told = "none: the model runs in the gateway's own trust domain"
  const named = events.some((one) => one.type === 'model.weights' || one.type === 'proof.verified')
  return named ? check('upstream', true, told) : said('upstream', `${told}, says its configuration`)
}

function session({ session: cited, receipt }: Exchange, id: string, policy: Policy): Check[] {
  const evidence = fieldsOf(parseStrict(evidenceOf(cited, id), MAX_DOCUMENT))
  const document = cited as Fields
  const served = integerOf(receipt.served_at)
  const bound = [
    { type: 'tls_spki_sha256', origin: document.endpoint ?? null, spki_sha256: evidence.spki_sha256 ?? null },
  ]
  if (!same(document.channel_binding, bound))
    return [check('upstream', false, 'the session is bound to another key than its evidence')]
  const [began, end] = [integerOf(document.established_at), integerOf(document.expires_at)]
  if (served < began || evidence.at !== began || end > began + 24 * 3600)
    return [check('upstream', false, 'the answer is older than the session that it cites')]
  const kind = evidence.kind ?? null
  if (kind !== null && kind !== LEGACY)
    return [check('upstream', false, "the session's evidence is of a kind that is not known")]
  if (kind === LEGACY) return unread('a report from before ACI (legacy)')
  const own = evidence.collateral ?? null
  const given = own === null ? undefined : parseStrict(utf8(stringOf(own)), MAX_DOCUMENT)
  const channel = { host: stringOf(evidence.host), spki: stringOf(evidence.spki_sha256), e2eeKey: null }
  const found = appraise(base64Of(evidence.report_b64), stringOf(evidence.nonce), channel, began, policy, given)
  const failed = found.checks.find((one) => one.ok === false)
  if (failed) return [check('upstream', false, `its evidence fails: ${failed.name}: ${failed.detail}`)]
  if (found.checks.some((one) => one.name === DEPLOYMENT)) return unread("a dstack guest's boot log")
  const open = found.checks.find((one) => one.ok !== true)
  const told = `session ${id.slice(0, 16)}…, ${String(document.upstream_name)} at ${String(document.endpoint)}`
  const checks = [
    check('upstream', true, told),
    check(
      'upstream measurement',
      open ? null : true,
      open ? `${open.name}: ${open.detail}` : "is on the reader's list",
    ),
  ]
  if (!('registered' in evidence)) return checks
  const unproved = 'the chain is said to have it: `proofward verify --spec` reads the proof, this page does not'
  return [...checks, check('upstream on chain', null, unproved)]
}

/** Evidence that the library appraises and this page does not: never accepted here. */
const unread = (what: string): Check[] => [
  check('upstream', null, `its session rests on ${what}, which this page does not appraise: \`proofward verify\` does`),
  check('upstream measurement', null, 'its evidence was not appraised'),
]

/** The bytes that were verified when a session began, if it is the one that a receipt cites. Throws. */
function evidenceOf(document: Fields | null, expected: string): Uint8Array {
  if (!document || document.api_version !== API_VERSION) throw new Error('the session is none of aci/1')
  if (hex(sha256(utf8(canonical(document)))) !== expected)
    throw new Error('the session does not hash to the id that the receipt cites')
  const evidence = document.evidence
  const written = isFields(evidence) && typeof evidence.data === 'string' ? evidence.data : ''
  const at = written.indexOf(';base64,')
  if (at < 0 || !written.startsWith('data:')) throw new Error('the session holds no evidence')
  const data = base64Of(written.slice(at + ';base64,'.length))
  if (!isFields(evidence) || evidence.digest !== tagged(data))
    throw new Error("the session's evidence does not hash to its digest")
  return data
}

/** That the answer is a proved model's: the library computes the proof again, and this page does not. */
function proved(events: readonly Fields[]): Check[] {
  if (!events.some((one) => one.type === 'proof.verified')) return []
  const told = 'the receipt says that a proof of this answer was verified, which this page does not compute again'
  return [check('proof', null, `${told}: \`proofward verify\` does`)]
}

/** What the attested software says of weights that it has loaded itself; none where it says nothing. */
function weights(events: readonly Fields[]): Check[] {
  const found = events.filter((one) => one.type === 'model.weights')
  if (!found.length) return []
  const digest = String(found[0]?.digest)
  if (found.length > 1 || !/^sha256:[0-9a-f]{64}$/.test(digest))
    return [check('weights', false, "the receipt names no one digest of the model's weights")]
  if (events.some((one) => one.type === 'upstream.verified'))
    return [check('weights', false, 'the receipt names weights of a model that runs elsewhere')]
  return [check('weights', true, `${digest}, measured by the attested software as it loaded them`)]
}
