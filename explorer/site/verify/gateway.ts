// A gateway's attestation report, judged as ACI's section 9.1 has it: as proofward/attestation/gateway.py does.
import { concat, equal, hex, unhex, utf8 } from './bytes.js'
import { type Check, check } from './check.js'
import type { Collateral } from './collateral.js'
import { type VerifiedQuote, verifyQuote } from './dcap.js'
import { sha256 } from './hashes.js'
import { type Policy, rootsOf } from './policy.js'
import { canonical, type Fields, fieldsOf, isFields, parseStrict, stringOf, type Value } from './strict-json.js'

export const API_VERSION = 'aci/1'
export const MAX_DOCUMENT = 1 << 20
/** A check of this page's alone, never made: a dstack guest's boot log, which the library reads. */
export const DEPLOYMENT = 'deployment'
const CHECKS = ['hardware', 'binding', 'expiry', 'measurement allowed', 'key custody', 'channel']
const MAX_LIFETIME = 24 * 3600
const SLACK = 300
const MAX_KEYS = 16
const MAX_TEXT = 256
const ED25519_SPKI = unhex('302a300506032b6570032100')

export const tagged = (data: Uint8Array): string => `sha256:${hex(sha256(data))}`

interface Key {
  readonly id: string
  readonly algorithm: string
  readonly key: string
}

export interface Keyset {
  readonly digest: string
  readonly subject: string | null
  readonly notAfter: number
  readonly receipts: readonly Key[]
  readonly encryption: readonly Key[]
  readonly tls: readonly { spki: string; domain: string | null }[]
}

const isText = (value: Value | undefined): value is string =>
  typeof value === 'string' && value.length > 0 && Array.from(value).length <= MAX_TEXT

function few(value: Value | undefined): Value[] {
  if (!Array.isArray(value) || value.length > MAX_KEYS)
    throw new Error(`a keyset lists at most ${MAX_KEYS} keys of a role`)
  return value
}

function members(value: Fields, names: readonly string[]): void {
  if (Object.keys(value).some((name) => !names.includes(name)))
    throw new Error('the keyset has a member that aci/1 does not know')
}

function keyOf(value: Value): Key {
  const one = fieldsOf(value)
  members(one, ['key_id', 'algo', 'public_key'])
  const { key_id: id, algo: algorithm, public_key: key } = one
  if (!isText(id) || !isText(algorithm) || !isText(key))
    throw new Error("a key's id, algorithm or bytes are no short text")
  return { id, algorithm, key }
}

function tlsOf(value: Value): { spki: string; domain: string | null } {
  const one = fieldsOf(value)
  members(one, ['spki_sha256', 'domain'])
  const { spki_sha256: spki, domain } = one
  if (typeof spki !== 'string' || !/^[0-9a-f]{64}$/.test(spki)) throw new Error('a TLS key is named by 64 hex digits')
  if (domain !== undefined && !isText(domain)) throw new Error("a TLS key's domain is no short text")
  return { spki, domain: domain ?? null }
}

/** A keyset of the fixed shape, whose keys have one role each. Throws. */
function keysetOf(value: Value | undefined): Keyset {
  const one = fieldsOf(value)
  members(one, ['subject', 'not_after', 'receipt_signing_keys', 'e2ee_public_keys', 'tls_public_keys'])
  const { subject, not_after: notAfter } = one
  if (typeof notAfter !== 'number') throw new Error("the keyset's not_after is no integer")
  if (subject === undefined || (subject !== null && !isText(subject)))
    throw new Error("the keyset's subject is no short text")
  const receipts = few(one.receipt_signing_keys).map(keyOf)
  const encryption = few(one.e2ee_public_keys).map(keyOf)
  const tls = few(one.tls_public_keys).map(tlsOf)
  if (new Set(receipts.map((key) => key.id)).size !== receipts.length) throw new Error('two receipt keys have one id')
  const [first, second] = [new Set(receipts.map((key) => key.key)), new Set(encryption.map((key) => key.key))]
  const spkis = new Set([...first, ...second].map(spkiOf))
  if ([...first].some((key) => second.has(key)) || tls.some((key) => spkis.has(key.spki)))
    throw new Error('one key has two roles in the keyset')
  return { digest: tagged(utf8(canonical(one))), subject, notAfter, receipts, encryption, tls }
}

function spkiOf(key: string): string | null {
  return /^[0-9a-fA-F]{64}$/.test(key) ? hex(sha256(concat(ED25519_SPKI, unhex(key)))) : null
}

export interface Channel {
  readonly host: string
  readonly spki: string
  readonly e2eeKey: string | null
}

export interface Appraisal {
  readonly checks: readonly Check[]
  readonly keyset: Keyset | null
}

/** Check a report against the nonce that was sent. Never throws: what cannot be read fails, and all after it. */
export function appraise(
  report: Uint8Array,
  nonce: string,
  channel: Channel,
  now: number,
  policy: Policy,
  given?: Value,
): Appraisal {
  let keyset: Keyset
  let evidence: Fields
  let quote: Uint8Array
  let stated: Value[]
  try {
    const value = parseStrict(report, MAX_DOCUMENT)
    if (!isFields(value) || value.api_version !== API_VERSION) throw new Error(`the report is none of ${API_VERSION}`)
    const attestation = fieldsOf(value.attestation)
    keyset = keysetOf(attestation.workload_keyset)
    evidence = fieldsOf(attestation.evidence)
    quote = unhex(stringOf(evidence.quote))
    stated = [value.workload_keyset_digest ?? null, attestation.report_data ?? null]
    if (attestation.tee_type !== 'tdx') throw new Error('the evidence is no TDX quote')
  } catch (error) {
    return { checks: CHECKS.map((name) => check(name, false, (error as Error).message)), keyset: null }
  }
  let verified: VerifiedQuote
  try {
    verified = verifyQuote(quote, collateralOf(given === undefined ? evidence.collateral : given), now, rootsOf(policy))
  } catch (error) {
    const rest = CHECKS.slice(1).map((name) => check(name, null, 'without a quote'))
    return { checks: [check('hardware', false, (error as Error).message), ...rest], keyset }
  }
  const told = `${verified.root.name}, TCB ${verified.status}, level ${verified.root.level}`
  const allowed = provenance(verified, evidence, policy)
  return {
    checks: [
      check('hardware', true, told),
      binding(keyset, nonce, stated, verified),
      expiry(keyset, now),
      ...allowed,
      custody(evidence, keyset, policy, allowed.length > 1),
      channelCheck(keyset, channel),
    ],
    keyset,
  }
}

/** Collateral in its JSON form: chains and documents as text, the rest as hex. Throws. */
function collateralOf(value: Value | undefined): Collateral {
  const one = fieldsOf(value)
  const [text, bytes] = [(name: string) => stringOf(one[name]), (name: string) => unhex(stringOf(one[name]))]
  text('pck_crl_issuer_chain')
  return {
    rootCrl: bytes('root_ca_crl'),
    pckCrl: bytes('pck_crl'),
    tcbInfoChain: text('tcb_info_issuer_chain'),
    tcbInfo: text('tcb_info'),
    tcbInfoSignature: bytes('tcb_info_signature'),
    qeIdentityChain: text('qe_identity_issuer_chain'),
    qeIdentity: text('qe_identity'),
    qeIdentitySignature: bytes('qe_identity_signature'),
  }
}

function binding(keyset: Keyset, nonce: string, stated: readonly Value[], { quote }: VerifiedQuote): Check {
  const statement = canonical({ keyset_digest: keyset.digest, nonce, purpose: 'aci.report_data.v1' })
  const slot = concat(sha256(utf8(statement)), new Uint8Array(32))
  const inputs = { statement, 'report data': hex(quote.reportData) }
  if (stated[0] !== keyset.digest || stated[1] !== hex(slot.subarray(0, 32)))
    return check('binding', false, 'the report restates a digest that its keyset and our nonce do not give', inputs)
  if (!equal(slot, quote.reportData))
    return check('binding', false, 'the quote is over another keyset, or over another nonce than ours', inputs)
  return check('binding', true, `the quote is over this keyset and our nonce, ${keyset.digest}`, inputs)
}

function expiry(keyset: Keyset, now: number): Check {
  const left = keyset.notAfter - now
  if (left <= 0) return check('expiry', false, `the keyset ended ${-left} s ago`)
  if (left > MAX_LIFETIME + SLACK)
    return check('expiry', false, `the keyset is to live ${left} s more, above ${MAX_LIFETIME}`)
  return check('expiry', true, `${left} s are left`)
}

/** One check; two of a dstack guest whose boot log alone could tell whether a pin of the reader's is met. */
function provenance({ quote }: VerifiedQuote, evidence: Fields, policy: Policy): Check[] {
  const found = hex(quote.measurement)
  const name = 'measurement allowed'
  if (!policy.measurements) return [check(name, null, `0x${found}: nobody has pinned what it should be`)]
  const inputs = { 'allow-list': [...policy.measurements].join(' ') }
  const pinned = policy.measurements.has(found)
  if (pinned || !logged(evidence.event_log)) return [check(name, pinned, `0x${found}`, inputs)]
  return [
    check(name, null, `0x${found} is not on the reader's list; a deployment of a dstack guest may be`, inputs),
    check(DEPLOYMENT, null, "a dstack guest's boot log is not read here: `proofward verify` reads it"),
  ]
}

/** Whether there is something to read: what Python counts as true. */
const logged = (value: Value | undefined): boolean =>
  Array.isArray(value) ? value.length > 0 : isFields(value) ? Object.keys(value).length > 0 : Boolean(value)

function custody(evidence: Fields, keyset: Keyset, policy: Policy, unread: boolean): Check {
  if (keyset.subject !== null)
    return check('key custody', false, 'the keyset has a subject that the policy does not name')
  if (evidence.key_custody !== 'generated-in-workload')
    return check('key custody', false, 'no custody that a measurement backs: a KMS chain is not verified here')
  if (!policy.measurements) return check('key custody', null, 'it rests on the software, and no measurement is pinned')
  if (unread) return check('key custody', null, 'it rests on the software, which was not checked')
  return check('key custody', true, 'the measured software makes its keys itself and exports none')
}

function channelCheck(keyset: Keyset, { host, spki, e2eeKey }: Channel): Check {
  if (!keyset.tls.some((one) => one.spki === spki && (one.domain === null || one.domain === host)))
    return check('channel', false, `the TLS key met at ${host} is not in the attested keyset`)
  if (e2eeKey !== null && !keyset.encryption.some((one) => one.key === e2eeKey))
    return check('channel', false, 'the encryption key is not in the attested keyset')
  return check('channel', true, `TLS key ${spki.slice(0, 16)}… is attested`)
}
