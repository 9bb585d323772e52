// Two receipts of one id that differ, both by attested keys: a gateway's lie, as proofward/evidence/two_receipts.py
// has it. It holds hashes alone, so it may be shown to anybody.
import { type Check, check } from './check.js'
import { receiptEvents, timeCheck, unsignedOf } from './exchange.js'
import { appraise, type Keyset } from './gateway.js'
import { stakeChecks } from './judged.js'
import type { Policy } from './policy.js'
import {
  base64Of,
  canonical,
  type Fields,
  fieldsOf,
  integerOf,
  parseStrict,
  stringOf,
  type Value,
} from './strict-json.js'
import { type Verdict, verdictOf } from './verdict.js'

export const RECEIPTS_FORMAT = 'proofward/two-receipts/v1'
const MAX_FILE = 4 << 20
const CHANNEL = 'channel'

export interface TwoReceipts {
  readonly gateway: string
  /** Unix second of the attestation. */
  readonly at: number
  readonly nonce: string
  readonly report: Uint8Array
  readonly receipts: readonly [Fields, Fields]
}

/** Throws for a file that is none. */
export function readTwoReceipts(data: Uint8Array): TwoReceipts {
  try {
    const value = fieldsOf(parseStrict(data, MAX_FILE))
    if (value.format !== RECEIPTS_FORMAT) throw new Error(`it is of another format than ${RECEIPTS_FORMAT}`)
    const nonce = stringOf(value.nonce)
    if (!/^[0-9a-f]{64}$/.test(nonce)) throw new Error('a nonce is 32 bytes in 64 lower-case hex digits')
    const { receipts } = value
    if (!Array.isArray(receipts) || receipts.length !== 2) throw new Error('there are not two receipts')
    return {
      gateway: stringOf(value.gateway),
      at: integerOf(value.at),
      nonce,
      report: base64Of(value.report),
      receipts: [fieldsOf(receipts[0]), fieldsOf(receipts[1])],
    }
  } catch (error) {
    throw new Error(`it does not hold two receipts: ${(error as Error).message}`)
  }
}

/**
 * Whether both are signed by attested keys, and differ: `accepted` means that the lie is proved. Under which TLS key
 * the gateway was met is not asked, for the signatures speak. Never throws for bad evidence.
 */
export function verifyTwoReceipts(one: TwoReceipts, policy: Policy): Verdict {
  const found = appraise(one.report, one.nonce, { host: '', spki: '', e2eeKey: null }, one.at, policy)
  const hardware = found.checks.find(({ name }) => name === 'hardware')
  const checks = [
    ...found.checks.filter(({ name }) => name !== CHANNEL),
    timeCheck(one.at, policy),
    ...receiptChecks('first receipt', one.receipts[0], found.keyset),
    ...receiptChecks('second receipt', one.receipts[1], found.keyset),
    contradiction(...one.receipts),
  ]
  return verdictOf('', hardware?.detail.includes('level simulated') ? ['simulated'] : [], checks)
}

function receiptChecks(name: string, receipt: Fields, keyset: Keyset | null): Check[] {
  try {
    if (!keyset) throw new Error('without a keyset no receipt can be checked')
    receiptEvents(receipt, keyset)
    const inputs = { 'signed bytes': unsignedOf(receipt), signature: String(receipt.signature) }
    const signed = check(name, true, 'signed by the attested key', inputs)
    return [signed, ...stakeChecks(unsignedOf(receipt), keyset.receipts.length)]
  } catch (error) {
    return [check(name, false, (error as Error).message)]
  }
}

function contradiction(first: Fields, second: Fields): Check {
  const id = String(first.receipt_id)
  try {
    if (id === String(second.receipt_id) && unsignedOf(first) !== unsignedOf(second)) {
      const names = [...new Set([...Object.keys(first), ...Object.keys(second)])].sort()
      const differ = names.filter((name) => name !== 'signature' && written(first[name]) !== written(second[name]))
      return check('contradiction', true, `${id} is two receipts: they differ in ${differ.join(', ')}`)
    }
  } catch {} // what has no canonical form was signed by nobody
  return check('contradiction', false, 'the receipts do not contradict each other')
}

const written = (value: Value | undefined): string => canonical(value ?? null)
