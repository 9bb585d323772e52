// Who made the model's keys, and what shows it.
import type { Bundle } from './bundle.js'
import { equal, hex } from './bytes.js'
import { type Check, check } from './check.js'
import { decodeCollateral } from './collateral.js'
import { type VerifiedQuote, verifyQuote } from './dcap.js'
import { type Policy, rootsOf } from './policy.js'
import { decodeSetup, type Setup, setupReportData, setupText } from './protocol.js'
import { noYounger } from './times.js'
import { allowed } from './worker.js'

export function setupChecks(bundle: Bundle, policy: Policy): Check[] {
  let setup: Setup
  try {
    setup = decodeSetup(bundle.result.setup)
  } catch (error) {
    return [check('setup', false, (error as Error).message)]
  }
  if (setup.kind === 'dev') {
    const told = 'dev: one party made the keys and could forge proofs'
    return [check('setup', policy.development, policy.development ? told : `${told}; refused without --dev`)]
  }
  if (setup.kind === 'ceremony') return [ceremony(hex(bundle.job.model), policy)]
  if (!bundle.setupEvidence) return [check('setup', null, 'attested, and there is no quote that shows it')]
  return attested(bundle.setupEvidence, bundle, setup, policy)
}

function ceremony(model: string, policy: Policy): Check {
  if (policy.certified.has(model)) {
    return check('setup', true, `ceremony, certified by the chain's governance: ${policy.witness}`)
  }
  const advice =
    'check its transcript with `proofward model audit`, or verify the job against a chain that certifies it'
  return check('setup', null, `ceremony: ${policy.witness}; ${advice}`)
}

function attested(
  evidence: NonNullable<Bundle['setupEvidence']>,
  bundle: Bundle,
  setup: Setup,
  policy: Policy,
): Check[] {
  const late = noYounger('setup', evidence.time, policy)
  if (late) return [late]
  let found: VerifiedQuote
  try {
    found = verifyQuote(evidence.quote, decodeCollateral(evidence.collateral), evidence.time, rootsOf(policy))
  } catch (error) {
    return [check('setup', false, `its quote: ${(error as Error).message}`)]
  }
  const { publisher, manifestHash, circuitDigest, vkHash } = bundle.model
  const bound = setupReportData(
    bundle.chain.genesis,
    publisher,
    manifestHash,
    circuitDigest,
    vkHash,
    evidence.blockHash,
  )
  if (!equal(found.quote.reportData, bound)) {
    return [check('setup', false, 'its quote binds another chain, publisher, model, key or block')]
  }
  const level = found.root.level
  if (level !== setup.level) {
    return [check('setup', false, `its quote gives level ${level}, the receipt says ${setupText(setup)}`)]
  }
  const { measurement } = found.quote
  const good = level === 'hardware' || policy.development
  const checks = [check('setup', good, `attested at level ${level}`, { 'report data': hex(bound) })]
  if (policy.measurements) return [...checks, allowed('setup measurement', measurement, policy.measurements)]
  return [
    ...checks,
    check('setup measurement', null, `${hex(measurement)}: no measurement is pinned; give --measurement`),
  ]
}
