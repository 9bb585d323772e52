// X.509 as Intel's PKI uses it (RFC 5280): ECDSA on P-256 with SHA-256 throughout, one or two steps to the
// root, every step's revocation known. What is not understood is refused.
import { p256 } from '@noble/curves/nist.js'
import { bigEndian, equal, hex } from './bytes.js'
import * as der from './der.js'
import { sha256 } from './hashes.js'

const ECDSA_SHA256 = der.oid('1.2.840.10045.4.3.2')
const EC_KEY = der.oid('1.2.840.10045.2.1')
const P256 = der.oid('1.2.840.10045.3.1.7')
const BASIC_CONSTRAINTS = der.oid('2.5.29.19')
const KEY_USAGE = der.oid('2.5.29.15')
const EXTENDED_KEY_USAGE = der.oid('2.5.29.37')
const SERVER_AUTH = der.oid('1.3.6.1.5.5.7.3.1')
const ISSUING_POINT = der.oid('2.5.29.28')
const CRL_NUMBER = der.oid('2.5.29.20')
const REASON = der.oid('2.5.29.21')
// What may be critical here: the three above, alternative names, distribution points.
const UNDERSTOOD = [BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE, der.oid('2.5.29.17'), der.oid('2.5.29.31')]
const MAX_INTERMEDIATES = 4

export interface Certificate {
  readonly der: Uint8Array
  readonly serial: string
  readonly issuer: Uint8Array
  readonly subject: Uint8Array
  readonly notBefore: number
  readonly notAfter: number
  /** 65 bytes, uncompressed. */
  readonly key: Uint8Array
  readonly extensions: readonly Extension[]
  readonly signed: Signed
}

interface Extension {
  readonly id: Uint8Array
  readonly critical: boolean
  readonly value: Uint8Array
}

interface Signed {
  readonly data: Uint8Array
  readonly signature: Uint8Array
}

export interface RevocationList {
  readonly issuer: Uint8Array
  readonly thisUpdate: number
  readonly nextUpdate: number
  readonly revoked: ReadonlySet<string>
  readonly signed: Signed
}

/** ECDSA over SHA-256 of `data`, by an uncompressed key; `signature` is r || s. */
export function verifyRaw(key: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
  try {
    return (
      signature.length === 64 &&
      p256.verify(signature, sha256(data), key, { lowS: false, prehash: false, format: 'compact' })
    )
  } catch {
    return false
  }
}

function verifySigned(key: Uint8Array, { data, signature }: Signed): boolean {
  const [r, s, ...more] = der.children(der.expect(der.parse(signature), der.SEQUENCE)).map(der.unsigned)
  if (!r || !s || more.length || r.length > 32 || s.length > 32) return false
  const raw = new Uint8Array(64)
  raw.set(r, 32 - r.length)
  raw.set(s, 64 - s.length)
  return verifyRaw(key, data, raw)
}

/** The blocks of a PEM text (RFC 7468). Throws for one that ends otherwise than it begins, or is not base64. */
export function fromPem(pem: string): Uint8Array[] {
  const found = pem.matchAll(/-----BEGIN ([^-]*)-----([\s\S]*?)-----END ([^-]*)-----/g)
  return Array.from(found, ([, begin, body, end]) => {
    const written = (body as string).replace(/\s+/g, '')
    const raw = atob(written)
    if (begin !== end || btoa(raw) !== written) throw new Error('a certificate of it is not written in PEM')
    return Uint8Array.from(raw, (letter) => letter.charCodeAt(0))
  })
}

function signedParts(data: Uint8Array): [der.Element, Signed] {
  const [body, algorithm, signature, ...more] = der.children(der.expect(der.parse(data), der.SEQUENCE))
  requireAlgorithm(algorithm)
  if (more.length) throw new Error('bytes are left behind a signature')
  return [der.expect(body, der.SEQUENCE), { data: (body as der.Element).raw, signature: der.bits(signature) }]
}

function requireAlgorithm(element: der.Element | undefined): void {
  const [id, ...parameters] = der.children(der.expect(element, der.SEQUENCE))
  if (!der.isOid(id, ECDSA_SHA256) || parameters.length) throw new Error('it is not signed by ECDSA with SHA-256')
}

/** Parse a certificate. Throws for what is none that this PKI has. */
export function certificate(data: Uint8Array): Certificate {
  const [body, signed] = signedParts(data)
  const [version, serial, algorithm, issuer, validity, subject, key, ...rest] = der.children(body)
  if (version?.tag !== 0xa0 || der.unsigned(der.children(version)[0])[0] !== 2)
    throw new Error('it is not X.509 version 3')
  requireAlgorithm(algorithm)
  const [notBefore, notAfter] = der.children(der.expect(validity, der.SEQUENCE)).map(der.moment) as [number, number]
  const wrapped = rest.filter((one) => one.tag === 0xa3)
  if (rest.length !== wrapped.length || wrapped.length > 1) throw new Error('it has parts that are not understood')
  return {
    der: data,
    serial: hex(der.unsigned(serial)),
    issuer: der.expect(issuer, der.SEQUENCE).raw,
    subject: der.expect(subject, der.SEQUENCE).raw,
    notBefore,
    notAfter,
    key: publicKey(key),
    extensions: wrapped.flatMap((one) => extensions(der.children(one)[0])),
    signed,
  }
}

function publicKey(element: der.Element | undefined): Uint8Array {
  const [algorithm, key] = der.children(der.expect(element, der.SEQUENCE))
  const [kind, curve] = der.children(der.expect(algorithm, der.SEQUENCE))
  if (!der.isOid(kind, EC_KEY) || !der.isOid(curve, P256)) throw new Error('its key is not of P-256')
  const point = der.bits(key)
  if (point.length !== 65 || point[0] !== 4) throw new Error('its key is not an uncompressed point')
  return point
}

function extensions(list: der.Element | undefined): Extension[] {
  const found = der.children(der.expect(list, der.SEQUENCE)).map((one) => {
    const parts = der.children(der.expect(one, der.SEQUENCE))
    const flag = parts.length === 3 ? der.expect(parts[1], der.BOOLEAN).value : Uint8Array.of(0)
    return {
      id: der.expect(parts[0], der.OID).value,
      critical: flag[0] !== 0,
      value: der.expect(parts.at(-1), der.OCTET_STRING).value,
    }
  })
  if (new Set(found.map((one) => hex(one.id))).size !== found.length) throw new Error('an extension is there twice')
  return found
}

/** The content of an extension, or null. */
export const extension = (of: { extensions: readonly Extension[] }, id: Uint8Array): Uint8Array | null =>
  of.extensions.find((one) => equal(one.id, id))?.value ?? null

/** Parse a revocation list: version 2, with a next update, over all certificates of its issuer. */
export function revocationList(data: Uint8Array): RevocationList {
  const [body, signed] = signedParts(data)
  const parts = der.children(body)
  const [version, algorithm, issuer, thisUpdate, nextUpdate] = parts
  if (der.unsigned(version)[0] !== 1) throw new Error('a revocation list is not of version 2')
  requireAlgorithm(algorithm)
  const rest = parts.slice(5)
  const entries = rest[0]?.tag === der.SEQUENCE ? der.children(rest.shift() as der.Element) : []
  const wrapped = rest.shift()
  if (rest.length || (wrapped !== undefined && wrapped.tag !== 0xa0))
    throw new Error('a revocation list has parts that are not understood')
  const known = wrapped === undefined ? [] : extensions(der.children(wrapped)[0])
  for (const one of known) {
    const understood = [ISSUING_POINT, CRL_NUMBER].some((id) => equal(id, one.id))
    // A list with a scope of its own says nothing of a certificate outside of it.
    if (equal(one.id, ISSUING_POINT) || (one.critical && !understood))
      throw new Error('a revocation list has a scope that is not understood')
    if (equal(one.id, CRL_NUMBER) && der.unsigned(der.parse(one.value)).length > 4)
      throw new Error('a revocation list has too large a number')
  }
  const revoked = entries.map((entry) => {
    const [serial, when, more] = der.children(der.expect(entry, der.SEQUENCE))
    der.moment(when)
    for (const one of more ? extensions(more) : []) {
      if (one.critical && !equal(one.id, REASON))
        throw new Error('a revocation list has an entry that is not understood')
    }
    return hex(der.unsigned(serial))
  })
  return {
    issuer: der.expect(issuer, der.SEQUENCE).raw,
    thisUpdate: der.moment(thisUpdate),
    nextUpdate: der.moment(nextUpdate),
    revoked: new Set(revoked),
    signed,
  }
}

/** Whether the list is by the root, which is on no list of its own. Throws. */
export function requireRootLists(root: Certificate, lists: readonly RevocationList[], now: number): void {
  if (!verifySigned(root.key, (lists[0] as RevocationList).signed))
    throw new Error("the root's revocation list is not signed by the root")
  requireNotRevoked(root, root, lists, now)
}

function requireNotRevoked(one: Certificate, issuer: Certificate, lists: readonly RevocationList[], now: number): void {
  const list = lists.find((candidate) => equal(candidate.issuer, one.issuer))
  if (!list) throw new Error('nobody says whether a certificate was revoked')
  const usage = issuer === one ? null : extension(issuer, KEY_USAGE)
  // cRLSign is bit 6.
  if (usage && !((der.expect(der.parse(usage), der.BIT_STRING).value[1] ?? 0) & 2))
    throw new Error('an issuer may not sign revocation lists')
  if (!verifySigned(issuer.key, list.signed)) throw new Error('a revocation list is not signed by its issuer')
  if (now >= list.nextUpdate) throw new Error('a revocation list has expired')
  if (list.revoked.has(one.serial)) throw new Error('a certificate was revoked')
}

/**
 * The path from a leaf to the root, leaf first, root excluded. `others` may be in any order.
 * Throws when there is none that holds at `now` (Unix seconds).
 */
export function chainTo(
  root: Certificate,
  leaf: Certificate,
  others: readonly Uint8Array[],
  lists: readonly RevocationList[],
  now: number,
): Certificate[] {
  if (others.length > MAX_INTERMEDIATES) throw new Error('its certificate chain is too long')
  const issuers = others.flatMap(readable)
  const path: Certificate[] = []
  let one = leaf
  for (;;) {
    requireUse(one, now, path.length)
    path.push(one)
    const above = equal(one.issuer, root.subject)
      ? root
      : issuers.find((other) => equal(other.subject, one.issuer) && !path.includes(other))
    if (!above) throw new Error('a certificate of it has no issuer here')
    if (!verifySigned(above.key, one.signed)) throw new Error('a certificate of it is not signed by its issuer')
    requireNotRevoked(one, above, lists, now)
    if (above === root) return path
    one = above
  }
}

/** One that nobody can read is on no path, and does not matter. */
function readable(data: Uint8Array): Certificate[] {
  try {
    return [certificate(data)]
  } catch {
    return []
  }
}

/** That a certificate may stand at this place at this time; `below` counts the certificates below it. */
function requireUse(one: Certificate, now: number, below: number): void {
  if (one.notBefore > one.notAfter || now < one.notBefore) throw new Error('a certificate of it is not valid yet')
  if (now > one.notAfter) throw new Error('a certificate of it has expired')
  for (const { id, critical } of one.extensions) {
    if (critical && !UNDERSTOOD.some((known) => equal(known, id)))
      throw new Error('a critical extension of it is not understood')
  }
  const [authority, length] = basicConstraints(one)
  if (authority !== below > 0)
    throw new Error(
      below ? 'a certificate that issues is of no authority' : "an authority's certificate stands for a machine's",
    )
  if (authority && length !== null && below - 1 > length)
    throw new Error('its certificate chain is longer than an authority allows')
  const usage = extension(one, EXTENDED_KEY_USAGE)
  if (usage && !der.children(der.parse(usage)).some((purpose) => der.isOid(purpose, SERVER_AUTH))) {
    throw new Error('a certificate of it is for another use')
  }
}

function basicConstraints(one: Certificate): [boolean, number | null] {
  const found = extension(one, BASIC_CONSTRAINTS)
  if (!found) return [false, null]
  const parts = der.children(der.expect(der.parse(found), der.SEQUENCE))
  const authority = parts[0]?.tag === der.BOOLEAN && (parts.shift() as der.Element).value[0] !== 0
  return [authority, parts[0] ? Number(bigEndian(der.unsigned(parts[0]))) : null]
}
