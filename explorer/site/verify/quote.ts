// A TDX quote taken apart, nothing of it believed yet (Intel TDX DCAP quoting library API, appendix A.3).
import { concat, hex, Reader, utf8 } from './bytes.js'
import { sha256 } from './hashes.js'

const MAX_QUOTE = 16_384
const TDX = 0x81
const ECDSA_P256 = 2
const QE_VENDOR = '939a7233f79c4ca9940a0db3957f0607'
const PCK_CHAIN = 5
// Bodies of version 5: TD report 1.0, 1.5 and 1.5ex, in bytes.
const BODIES: Record<number, number> = { 2: 584, 3: 648, 4: 885 }

export interface Quote {
  readonly version: number
  readonly teeTcbSvn: Uint8Array
  readonly signerSeam: Uint8Array
  readonly seamAttributes: Uint8Array
  readonly attributes: Uint8Array
  readonly mrtd: Uint8Array
  readonly mrConfigId: Uint8Array
  readonly mrOwner: Uint8Array
  readonly mrOwnerConfig: Uint8Array
  readonly rtmrs: readonly Uint8Array[]
  readonly reportData: Uint8Array
  /** Of a TD report 1.5: the TCB at present, and the service TD. */
  readonly current: { readonly teeTcbSvn: Uint8Array; readonly serviceTd: Uint8Array } | null
  /** What the attestation key signs. */
  readonly signed: Uint8Array
  readonly signature: Uint8Array
  /** 64 bytes, x || y. */
  readonly attestationKey: Uint8Array
  readonly qeReport: QeReport
  readonly qeSignature: Uint8Array
  readonly qeAuthData: Uint8Array
  /** PEM, leaf first. */
  readonly chain: string
  /** The protocol's one hash of all registers. */
  readonly measurement: Uint8Array
}

export interface QeReport {
  readonly raw: Uint8Array
  readonly miscSelect: Uint8Array
  readonly attributes: Uint8Array
  readonly signer: Uint8Array
  readonly product: number
  readonly svn: number
  readonly reportData: Uint8Array
}

/** Parse a quote. Throws for what is no TDX quote of version 4 or 5 with its certificates in it. */
export function parseQuote(data: Uint8Array): Quote {
  if (data.length > MAX_QUOTE) throw new Error(`a quote has at most ${MAX_QUOTE} bytes, not ${data.length}`)
  const reader = new Reader(data)
  const version = reader.unsigned(2)
  const [keyType, tee] = [reader.unsigned(2), reader.unsigned(4)]
  reader.take(4)
  const vendor = hex(reader.take(16))
  reader.take(20)
  if (tee !== TDX || (version !== 4 && version !== 5)) throw new Error('a TDX quote of version 4 or 5 is needed')
  if (keyType !== ECDSA_P256 || vendor !== QE_VENDOR)
    throw new Error('it is by no quoting enclave of Intel with an ECDSA key')
  let size = 584
  if (version === 5) {
    const found = BODIES[reader.unsigned(2)]
    if (!found || reader.unsigned(4) !== found) throw new Error('it has no report of a trust domain')
    size = found
  }
  const body = reportOf(reader.take(size))
  const signed = data.subarray(0, data.length - reader.left)
  return { version, ...body, signed, ...authentication(reader.take(reader.unsigned(4))) }
}

function reportOf(data: Uint8Array) {
  const reader = new Reader(data)
  const teeTcbSvn = reader.take(16)
  reader.take(48)
  const [signerSeam, seamAttributes, attributes] = [reader.take(48), reader.take(8), reader.take(8)]
  reader.take(8)
  const registers = Array.from({ length: 8 }, () => reader.take(48))
  const [mrtd, mrConfigId, mrOwner, mrOwnerConfig, ...rtmrs] = registers as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    ...Uint8Array[],
  ]
  const reportData = reader.take(64)
  const current = reader.left ? { teeTcbSvn: reader.take(16), serviceTd: reader.take(48) } : null
  const all = concat(utf8('proofward/measurement/v1'), mrtd, ...rtmrs, mrConfigId, mrOwner, mrOwnerConfig)
  return {
    teeTcbSvn,
    signerSeam,
    seamAttributes,
    attributes,
    mrtd,
    mrConfigId,
    mrOwner,
    mrOwnerConfig,
    rtmrs,
    reportData,
    current,
    measurement: sha256(all),
  }
}

function authentication(data: Uint8Array) {
  const outer = new Reader(data)
  const [signature, attestationKey] = [outer.take(64), outer.take(64)]
  outer.take(2)
  const reader = new Reader(outer.take(outer.unsigned(4)))
  const [report, qeSignature] = [reader.take(384), reader.take(64)]
  const qeAuthData = reader.take(reader.unsigned(2))
  if (reader.unsigned(2) !== PCK_CHAIN) throw new Error('its certificates are not in it')
  const chain = new TextDecoder().decode(reader.take(reader.unsigned(4)))
  return { signature, attestationKey, qeReport: qeReport(report), qeSignature, qeAuthData, chain }
}

function qeReport(raw: Uint8Array): QeReport {
  const at = (from: number, length: number) => raw.subarray(from, from + length)
  const number = (from: number) => (raw[from] as number) + 256 * (raw[from + 1] as number)
  return {
    raw,
    miscSelect: at(16, 4),
    attributes: at(48, 16),
    signer: at(128, 32),
    product: number(256),
    svn: number(258),
    reportData: at(320, 64),
  }
}
