// Verification of a TDX quote at a moment: certificates, revocation, quoting enclave, signatures, TCB.
//
// Written anew after Intel's DCAP quote verification and the rules of dcap-qvl 0.7, which the library and the
// pallet use; tests hold both against each other. `@phala/dcap-qvl` 0.3.9 is not used: in a browser it compares
// no certificate's dates, and nowhere the signature or the age of a revocation list or the TDX module.
import { concat, equal, hex } from './bytes.js'
import {
  type Certificate,
  certificate,
  chainTo,
  extension,
  fromPem,
  type RevocationList,
  requireRootLists,
  revocationList,
  verifyRaw,
} from './certificates.js'
import {
  type Collateral,
  type QeIdentity,
  qeIdentity,
  type SvnLevel,
  type TcbInfo,
  type TcbLevel,
  tcbInfo,
} from './collateral.js'
import * as der from './der.js'
import { sha256 } from './hashes.js'
import { parseQuote, type Quote } from './quote.js'
import type { TrustRoot } from './roots.js'

export interface VerifiedQuote {
  readonly quote: Quote
  readonly root: TrustRoot
  readonly status: string
  readonly advisories: readonly string[]
}

/** Verify a quote at a Unix time in seconds. Throws an Error that says why it does not hold. */
export function verifyQuote(
  data: Uint8Array,
  collateral: Collateral,
  now: number,
  roots: readonly TrustRoot[],
): VerifiedQuote {
  let quote: Quote
  try {
    quote = parseQuote(data)
  } catch (error) {
    throw new Error(`it is no quote: ${(error as Error).message}`)
  }
  if (quote.attributes[0] !== 0) throw new Error('the trust domain runs in debug mode: its host can read it')
  const chain = fromPem(quote.chain)
  const last = chain.at(-1)
  const root = roots.find((one) => last && equal(one.der, last))
  if (!root) {
    throw new Error(
      `its certificate chain does not end at a trusted root (trusted: ${roots.map((one) => one.name).join(', ') || 'none'})`,
    )
  }
  const found = appraise(quote, chain, collateral, now, root)
  if (found.status !== 'UpToDate')
    throw new Error(`the policy refuses it: TCB status ${found.status} is not acceptable by policy`)
  return { quote, root, ...found }
}

function appraise(
  quote: Quote,
  chain: readonly Uint8Array[],
  collateral: Collateral,
  now: number,
  trusted: TrustRoot,
): { status: string; advisories: string[] } {
  const root = certificate(trusted.der)
  const lists = [revocationList(collateral.rootCrl), revocationList(collateral.pckCrl)]
  requireRootLists(root, lists, now)
  if (now > root.notAfter) throw new Error('the root has expired')
  const info = tcbInfo(collateral.tcbInfo)
  requireCurrent('TCB info', info, now)
  requireSigned('TCB info', collateral.tcbInfo, collateral.tcbInfoSignature, collateral.tcbInfoChain, root, lists, now)
  const identity = qeIdentity(collateral.qeIdentity)
  requireCurrent('QE identity', identity, now)
  requireSigned(
    'QE identity',
    collateral.qeIdentity,
    collateral.qeIdentitySignature,
    collateral.qeIdentityChain,
    root,
    lists,
    now,
  )
  if (identity.id !== 'TD_QE' || ![2, 3].includes(identity.version))
    throw new Error('the QE identity is of no quoting enclave for trust domains')

  const [leaf, ...others] = chain
  const pck = certificate(leaf as Uint8Array)
  chainTo(root, pck, others, lists, now)
  const platform = platformOf(pck)
  if (!verifyRaw(pck.key, quote.qeReport.raw, quote.qeSignature))
    throw new Error('the signature of the quoting enclave is not by the platform')
  if (quote.qeAuthData.length !== 32) throw new Error("the quoting enclave's data has another length")
  const bound = sha256(concat(quote.attestationKey, quote.qeAuthData))
  if (!equal(bound, quote.qeReport.reportData.subarray(0, 32)))
    throw new Error('the quoting enclave vouches for another key')
  const qe = requireIdentity(quote, identity)
  const key = concat(Uint8Array.of(4), quote.attestationKey)
  if (!verifyRaw(key, quote.signed, quote.signature)) throw new Error('the signature of the quote does not hold')

  const level = tcbOf(info, platform, quote.teeTcbSvn)
  requireModule(info, quote)
  const current = quote.current && tcbOf(info, platform, quote.current.teeTcbSvn)
  let status = converge(level.status, qe.status)
  const present = current && converge(current.status, qe.status)
  if (status === 'Revoked' || present === 'Revoked') throw new Error('TCB status is invalid: Revoked')
  if (present) status = relaunch(status, present)
  requireAttributes(quote)
  return { status, advisories: [...new Set([...level.advisories, ...qe.advisories])] }
}

function requireCurrent(what: string, dated: { issued: number; nextUpdate: number }, now: number): void {
  if (now < dated.issued) throw new Error(`the ${what} is of the future`)
  if (now > dated.nextUpdate) throw new Error(`the ${what} has expired`)
}

function requireSigned(
  what: string,
  document: string,
  signature: Uint8Array,
  pem: string,
  root: Certificate,
  lists: readonly RevocationList[],
  now: number,
): void {
  const [leaf, ...others] = fromPem(pem)
  if (!leaf) throw new Error(`the ${what} has no certificate`)
  const signer = certificate(leaf)
  if (chainTo(root, signer, others, lists, now).length !== 1)
    throw new Error(`the signer of the ${what} is not the root's own`)
  if (!verifyRaw(signer.key, new TextEncoder().encode(document), signature))
    throw new Error(`the signature of the ${what} does not hold`)
}

interface Platform {
  readonly cpuSvn: Uint8Array
  readonly pceSvn: number
  readonly fmspc: string
}

const SGX = '1.2.840.113741.1.13.1'

/** What Intel certifies of a machine (Intel SGX PCK certificate specification, SGX extensions). */
function platformOf(pck: Certificate): Platform {
  const found = extension(pck, der.oid(SGX))
  if (!found) throw new Error("the machine's certificate does not say what machine it is of")
  const top = der.parse(found)
  const within = (sequence: der.Element, id: string): der.Element => {
    for (const entry of der.children(der.expect(sequence, der.SEQUENCE))) {
      const [name, value] = der.children(der.expect(entry, der.SEQUENCE))
      if (der.isOid(name, der.oid(id)) && value) return value
    }
    throw new Error("the machine's certificate does not say what machine it is of")
  }
  const tcb = within(top, `${SGX}.2`)
  const cpuSvn = der.expect(within(tcb, `${SGX}.2.18`), der.OCTET_STRING).value
  const pce = der.unsigned(within(tcb, `${SGX}.2.17`))
  const fmspc = der.expect(within(top, `${SGX}.4`), der.OCTET_STRING).value
  for (const id of [`${SGX}.1`, `${SGX}.3`, `${SGX}.5`]) within(top, id)
  if (cpuSvn.length !== 16 || fmspc.length !== 6 || pce.length > 2)
    throw new Error("a field of the machine's certificate has another length")
  return { cpuSvn, pceSvn: pce.reduce((sum, byte) => sum * 256 + byte, 0), fmspc: hex(fmspc) }
}

const masked = (a: Uint8Array, b: Uint8Array, mask: Uint8Array): boolean =>
  mask.every((bits, i) => ((a[i] as number) & bits) === ((b[i] as number) & bits))

function requireIdentity({ qeReport }: Quote, identity: QeIdentity): SvnLevel {
  if (!equal(qeReport.signer, identity.signer)) throw new Error('the quoting enclave is signed by another')
  if ((qeReport.attributes[0] as number) & 2) throw new Error('the quoting enclave runs in debug mode')
  if (qeReport.product !== identity.product) throw new Error('the quoting enclave is another product')
  if (!masked(qeReport.miscSelect, identity.miscSelect, identity.miscMask))
    throw new Error('the quoting enclave has other features')
  if (!masked(qeReport.attributes, identity.attributes, identity.attributesMask))
    throw new Error('the quoting enclave has other attributes')
  const level = identity.levels.find((one) => qeReport.svn >= one.svn)
  if (!level) throw new Error("the quoting enclave is older than Intel's list")
  return allowed(level, ['UpToDate', 'OutOfDate', 'ConfigurationNeeded', 'Revoked', 'OutOfDateConfigurationNeeded'])
}

function allowed<T extends { status: string }>(level: T, statuses: readonly string[]): T {
  if (!statuses.includes(level.status)) throw new Error(`the status ${level.status} has no place there`)
  return level
}

const TCB_STATUSES = [
  'UpToDate',
  'OutOfDate',
  'ConfigurationNeeded',
  'Revoked',
  'OutOfDateConfigurationNeeded',
  'SWHardeningNeeded',
  'ConfigurationAndSWHardeningNeeded',
]

/** The platform's level with that of its TDX module. */
function tcbOf(info: TcbInfo, platform: Platform, svn: Uint8Array): Pick<TcbLevel, 'status' | 'advisories'> {
  if (platform.fmspc !== info.fmspc) throw new Error('the TCB info is of another family of platforms')
  if (info.version < 3 || info.id !== 'TDX') throw new Error('the TCB info is not for trust domains')
  const level = info.levels.find((one) => meets(one, platform, svn))
  if (!level) throw new Error('no TCB level fits the platform')
  allowed(level, TCB_STATUSES)
  const module = moduleOf(info, svn)
  if (!module) return level
  const met = module.levels.find((one) => (svn[0] as number) >= one.svn)
  if (!met) throw new Error("the TDX module is older than Intel's list")
  allowed(met, ['UpToDate', 'OutOfDate', 'Revoked'])
  return { status: converge(level.status, met.status), advisories: [...level.advisories, ...met.advisories] }
}

function meets(level: TcbLevel, platform: Platform, svn: Uint8Array): boolean {
  if (level.sgx.length !== 16 || level.tdx.length !== 16)
    throw new Error('a TCB level has another number of components')
  // The module's own version leaves components 0 and 1 to the module's identity.
  const from = (svn[1] as number) > 0 ? 2 : 0
  return (
    level.sgx.every((needs, i) => (platform.cpuSvn[i] as number) >= needs) &&
    platform.pceSvn >= level.pceSvn &&
    level.tdx.every((needs, i) => i < from || (svn[i] as number) >= needs)
  )
}

function moduleOf(info: TcbInfo, svn: Uint8Array) {
  const version = svn[1] as number
  if (version === 0) return null
  const id = `TDX_${hex(Uint8Array.of(version))}`
  const found = info.modules.find((one) => one.id.toLowerCase() === id.toLowerCase())
  if (!found) throw new Error(`the TCB info has no TDX module ${id}`)
  return found
}

function requireModule(info: TcbInfo, quote: Quote): void {
  if (!info.module) throw new Error('the TCB info names no TDX module')
  const wanted = moduleOf(info, quote.teeTcbSvn) ?? info.module
  if (!equal(quote.signerSeam, wanted.signer)) throw new Error('the TDX module is signed by another')
  const outside = quote.seamAttributes.some((bits, i) => (bits & ~(wanted.mask[i] as number)) !== 0)
  if (outside || !masked(quote.seamAttributes, wanted.attributes, wanted.mask))
    throw new Error('the TDX module has other attributes')
}

/** As Intel's convergeTcbStatuses: only an OutOfDate or Revoked component affects the platform's status. */
function converge(platform: string, component: string): string {
  if (component === 'Revoked') return 'Revoked'
  if (component !== 'OutOfDate') return platform
  if (platform === 'UpToDate' || platform === 'SWHardeningNeeded') return 'OutOfDate'
  if (platform === 'ConfigurationNeeded' || platform === 'ConfigurationAndSWHardeningNeeded')
    return 'OutOfDateConfigurationNeeded'
  return platform
}

/** As Intel's checkForRelaunch: launched on an old TCB that was since mended. */
function relaunch(launched: string, present: string): string {
  const old = (status: string) => status.startsWith('OutOfDate')
  if (!old(launched) || old(present) || present.startsWith('TDRelaunch')) return launched
  const configuration = [launched, present].some((status) => status.includes('Configuration'))
  return configuration ? 'TDRelaunchAdvisedConfigurationNeeded' : 'TDRelaunchAdvised'
}

// Bits that a verifier must refuse (Intel TDX module ABI 348551-008US, table 3.23): 1-3, 7-15, 23-26, 32-61.
const RESERVED = [
  [1, 3],
  [7, 15],
  [23, 26],
  [32, 61],
] as const

function requireAttributes(quote: Quote): void {
  const set = (bit: number) => ((quote.attributes[bit >> 3] as number) >> (bit & 7)) & 1
  if (quote.current?.serviceTd.some((byte) => byte !== 0)) throw new Error('the trust domain is bound to a service TD')
  for (const [from, to] of RESERVED) {
    for (let bit = from; bit <= to; bit++)
      if (set(bit)) throw new Error('reserved attributes of the trust domain are set')
  }
  if (set(29)) throw new Error('the trust domain can migrate')
  if (set(17)) throw new Error('the trust domain is bound to a service TD')
  if (!set(28)) throw new Error('the trust domain takes exceptions that its host can cause')
}

/** What names a quote's collateral: the family of platforms (hex) and the authority that certifies it. */
export function familyOf(data: Uint8Array): { fmspc: string; authority: 'processor' | 'platform' } {
  const [leaf] = fromPem(parseQuote(data).chain)
  if (!leaf) throw new Error('the quote has no certificates')
  const pck = certificate(leaf)
  const issuer = new TextDecoder('latin1').decode(pck.issuer)
  const authority = !issuer.includes('Processor') && issuer.includes('Platform') ? 'platform' : 'processor'
  return { fmspc: platformOf(pck).fmspc, authority }
}
