// Collateral: what Intel (or the simulator) publishes about a platform family, as the chain holds it (SCALE).
import { Reader, text, unhex } from './bytes.js'

const MAX_COLLATERAL = 65_536

export interface Collateral {
  readonly rootCrl: Uint8Array
  readonly pckCrl: Uint8Array
  readonly tcbInfoChain: string
  readonly tcbInfo: string
  readonly tcbInfoSignature: Uint8Array
  readonly qeIdentityChain: string
  readonly qeIdentity: string
  readonly qeIdentitySignature: Uint8Array
}

/** Decode SCALE. Throws. A certificate chain of one platform's own is left out: the quote's own counts. */
export function decodeCollateral(data: Uint8Array): Collateral {
  const reader = new Reader(data)
  const bytes = () => reader.take(reader.count(MAX_COLLATERAL))
  text(bytes()) // the PCK list's issuers, whose certificates are in the quote
  const [rootCrl, pckCrl] = [bytes(), bytes()]
  const [tcbInfoChain, tcbInfo, tcbInfoSignature] = [text(bytes()), text(bytes()), bytes()]
  const [qeIdentityChain, qeIdentity, qeIdentitySignature] = [text(bytes()), text(bytes()), bytes()]
  const own = reader.unsigned(1)
  if (own > 1) throw new Error('an option is 0 or 1')
  if (own) text(bytes())
  if (reader.left) throw new Error('bytes are left behind a Collateral')
  return { rootCrl, pckCrl, tcbInfoChain, tcbInfo, tcbInfoSignature, qeIdentityChain, qeIdentity, qeIdentitySignature }
}

export interface TcbInfo {
  readonly id: string
  readonly version: number
  readonly issued: number
  readonly nextUpdate: number
  readonly fmspc: string
  readonly levels: readonly TcbLevel[]
  readonly module: TdxModule | null
  readonly modules: readonly (TdxModule & { readonly id: string; readonly levels: readonly SvnLevel[] })[]
}

export interface TcbLevel {
  readonly sgx: readonly number[]
  readonly tdx: readonly number[]
  readonly pceSvn: number
  readonly status: string
  readonly advisories: readonly string[]
}

export interface SvnLevel {
  readonly svn: number
  readonly status: string
  readonly advisories: readonly string[]
}

export interface TdxModule {
  readonly signer: Uint8Array
  readonly attributes: Uint8Array
  readonly mask: Uint8Array
}

export interface QeIdentity {
  readonly id: string
  readonly version: number
  readonly issued: number
  readonly nextUpdate: number
  readonly miscSelect: Uint8Array
  readonly miscMask: Uint8Array
  readonly attributes: Uint8Array
  readonly attributesMask: Uint8Array
  readonly signer: Uint8Array
  readonly product: number
  readonly levels: readonly SvnLevel[]
}

// Reading JSON of known shape; each throws for another type.
type Fields = Record<string, unknown>

function wrong(what: string): never {
  throw new Error(`the collateral's ${what} is not what it should be`)
}
const fields = (value: unknown): Fields =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Fields) : wrong('structure')
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : wrong('list'))
const string = (value: unknown): string => (typeof value === 'string' ? value : wrong('text'))
const number = (value: unknown, limit: number): number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < limit ? value : wrong('number')
const bytes = (value: unknown, length: number): Uint8Array => {
  const found = unhex(string(value))
  return found.length === length ? found : wrong('hexadecimal field')
}
const strings = (value: unknown): string[] => (value === undefined ? [] : list(value).map(string))

/** RFC 3339 to Unix seconds. */
function moment(value: unknown): number {
  const written = string(value)
  if (!/^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(written)) wrong('date')
  const at = Math.floor(Date.parse(written.replace(' ', 'T')) / 1000)
  return Number.isFinite(at) && at >= 0 ? at : wrong('date')
}

const STATUSES = [
  'UpToDate',
  'OutOfDate',
  'OutOfDateConfigurationNeeded',
  'ConfigurationNeeded',
  'ConfigurationAndSWHardeningNeeded',
  'SWHardeningNeeded',
  'Revoked',
  'TDRelaunchAdvised',
  'TDRelaunchAdvisedConfigurationNeeded',
]
const status = (value: unknown): string => (STATUSES.includes(string(value)) ? string(value) : wrong('TCB status'))

function svnLevel(value: unknown): SvnLevel {
  const level = fields(value)
  moment(level.tcbDate)
  return {
    svn: number(fields(level.tcb).isvsvn, 65_536),
    status: status(level.tcbStatus),
    advisories: strings(level.advisoryIDs),
  }
}

const components = (value: unknown): number[] => list(value).map((one) => number(fields(one).svn, 256))

function tcbLevel(value: unknown): TcbLevel {
  const level = fields(value)
  const tcb = fields(level.tcb)
  moment(level.tcbDate)
  return {
    sgx: components(tcb.sgxtcbcomponents),
    tdx: tcb.tdxtcbcomponents === undefined ? [] : components(tcb.tdxtcbcomponents),
    pceSvn: number(tcb.pcesvn, 65_536),
    status: status(level.tcbStatus),
    advisories: strings(level.advisoryIDs),
  }
}

function module(value: unknown): TdxModule {
  const one = fields(value)
  return { signer: bytes(one.mrsigner, 48), attributes: bytes(one.attributes, 8), mask: bytes(one.attributesMask, 8) }
}

const descending = (a: readonly number[], b: readonly number[]): number => {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    if (a[i] !== b[i]) return (b[i] ?? -1) - (a[i] ?? -1)
  }
  return 0
}

/** TCB info, its levels in the order of Intel's library: highest first, whatever the document's. Throws. */
export function tcbInfo(document: string): TcbInfo {
  const value = fields(JSON.parse(document))
  const levels = list(value.tcbLevels).map(tcbLevel)
  levels.sort((a, b) => descending(a.sgx, b.sgx) || b.pceSvn - a.pceSvn || descending(a.tdx, b.tdx))
  return {
    id: string(value.id),
    version: number(value.version, 256),
    issued: moment(value.issueDate),
    nextUpdate: moment(value.nextUpdate),
    fmspc: string(value.fmspc).toLowerCase(),
    levels,
    module: value.tdxModule === undefined || value.tdxModule === null ? null : module(value.tdxModule),
    modules: (value.tdxModuleIdentities === undefined ? [] : list(value.tdxModuleIdentities)).map((one) => ({
      ...module(one),
      id: string(fields(one).id),
      levels: list(fields(one).tcbLevels).map(svnLevel),
    })),
  }
}

/** QE identity. Throws. */
export function qeIdentity(document: string): QeIdentity {
  const value = fields(JSON.parse(document))
  return {
    id: string(value.id),
    version: number(value.version, 256),
    issued: moment(value.issueDate),
    nextUpdate: moment(value.nextUpdate),
    miscSelect: bytes(value.miscselect, 4),
    miscMask: bytes(value.miscselectMask, 4),
    attributes: bytes(value.attributes, 16),
    attributesMask: bytes(value.attributesMask, 16),
    signer: bytes(value.mrsigner, 32),
    product: number(value.isvprodid, 65_536),
    levels: list(value.tcbLevels).map(svnLevel),
  }
}
