// A worker's registration, verified again from its quote.
import type { Bundle } from './bundle.js'
import { equal, hex } from './bytes.js'
import { type Check, check, type Inputs } from './check.js'
import { decodeCollateral } from './collateral.js'
import { type VerifiedQuote, verifyQuote } from './dcap.js'
import { sha256 } from './hashes.js'
import { type Policy, rootsOf } from './policy.js'
import { workerReportData } from './protocol.js'
import { dateText, noYounger } from './times.js'

/** `account` is who registered it. */
export function workerChecks(
  account: Uint8Array,
  worker: Bundle['worker'],
  genesis: Uint8Array,
  policy: Policy,
): Check[] {
  const { attestation } = worker
  const late = noYounger('quote', attestation.time, policy)
  if (late) return [late]
  const inputs = {
    quote: `${attestation.quote.length} bytes, SHA-256 ${hex(sha256(attestation.quote))}`,
    collateral: `${attestation.collateral.length} bytes, SHA-256 ${hex(sha256(attestation.collateral))}`,
    'verified at': dateText(attestation.time),
    'trusted roots': rootsOf(policy)
      .map((root) => root.name)
      .join(', '),
  }
  let collateral: ReturnType<typeof decodeCollateral>
  try {
    collateral = decodeCollateral(attestation.collateral)
  } catch (error) {
    return [check('quote', false, (error as Error).message, inputs)]
  }
  const checks = [same('quote hash', sha256(attestation.quote), worker.quoteHash)]
  let found: VerifiedQuote
  try {
    found = verifyQuote(attestation.quote, collateral, attestation.time, rootsOf(policy))
  } catch (error) {
    return [...checks, check('quote', false, (error as Error).message, inputs), ...unpinned(policy)]
  }
  const { measurement } = found.quote
  checks.push(
    check('quote', true, `signed under ${found.root.name}`, inputs),
    check('tcb', true, [found.status, ...found.advisories].join(', '), { 'accepted statuses': 'UpToDate' }),
    level(found.root.level, worker.level),
    binding(found, genesis, account, worker),
    same('measurement', measurement, worker.measurement),
  )
  if (policy.measurements) checks.push(allowed('measurement allowed', measurement, policy.measurements))
  return [...checks, ...unpinned(policy)]
}

export function allowed(name: string, measurement: Uint8Array, pinned: ReadonlySet<string>): Check {
  const good = pinned.has(hex(measurement))
  const inputs = { measurement: hex(measurement), 'allow-list': [...pinned].join(' ') || 'empty' }
  return check(name, good, good ? hex(measurement) : 'it is not on the given allow-list', inputs)
}

const unpinned = (policy: Policy): Check[] =>
  policy.measurements ? [] : [check('measurement allowed', null, 'no measurement is pinned; give --measurement')]

function level(found: string, recorded: string): Check {
  const agree = found === recorded
  return check('quote level', agree, agree ? found : `the quote gives ${found}, the chain records ${recorded}`)
}

function binding(found: VerifiedQuote, genesis: Uint8Array, account: Uint8Array, worker: Bundle['worker']): Check {
  const { hpkeKey, receiptKey, epoch, blockHash } = worker
  const inputs = {
    genesis: hex(genesis),
    account: hex(account),
    'HPKE key': hex(hpkeKey),
    'receipt key': hex(receiptKey),
    epoch: `${epoch}`,
    'block hash': hex(blockHash),
  }
  try {
    const wanted = workerReportData({ genesis, account, hpkeKey, receiptKey, epoch, blockHash })
    return same('binding', found.quote.reportData, wanted, inputs)
  } catch (error) {
    return check('binding', false, (error as Error).message, inputs)
  }
}

function same(name: string, found: Uint8Array, expected: Uint8Array, inputs: Inputs = {}): Check {
  const good = equal(found, expected)
  const told = good ? hex(found) : `${hex(found)} is not ${hex(expected)}`
  return check(name, good, told, { computed: hex(found), recorded: hex(expected), ...inputs })
}
