// Who made the model's keys, and what shows it.
import type { Bundle } from './bundle.js'
import { equal, hex } from './bytes.js'
import { type Check, check, said } from './check.js'
import { decodeCollateral } from './collateral.js'
import { type VerifiedQuote, verifyQuote } from './dcap.js'
import { sha256 } from './hashes.js'
import { type Artefact, quoted } from './model.js'
import { type Certificate, type Policy, rootsOf } from './policy.js'
import { decodeSetup, type Setup, setupReportData, setupText } from './protocol.js'
import { noYounger } from './times.js'
import { endsIn, readTranscript, type Transcript } from './transcript.js'
import { allowed } from './worker.js'

/** What is claimed of who made a model's keys; `encoded` is what the chain says of it (SCALE). */
export interface SetupClaim {
  readonly encoded: Uint8Array
  readonly evidence: Bundle['setupEvidence']
  readonly model: Bundle['model']
  readonly genesis: Uint8Array
}

export function setupChecks(
  claim: SetupClaim,
  artefact: Artefact | null,
  policy: Policy,
  certificate: Certificate | null,
): Check[] {
  let setup: Setup
  try {
    setup = decodeSetup(claim.encoded)
  } catch (error) {
    return [check('setup', false, (error as Error).message)]
  }
  if (setup.kind === 'attested') {
    if (!claim.evidence) return [check('setup', null, 'attested, and there is no quote that shows it')]
    return attested(claim.evidence, claim.model, claim.genesis, setup, policy)
  }
  const unread = claim.evidence ? [said('setup quote', `one is here and unread: the setup is ${setup.kind}`)] : []
  if (setup.kind === 'ceremony') return [...ceremony(claim.model, artefact, policy, certificate), ...unread]
  const told = 'dev: one party made the keys and could forge proofs'
  return [check('setup', policy.development, policy.development ? told : `${told}; refused without --dev`), ...unread]
}

const TRANSCRIPT = 'public/ceremony.bin'
/** Contributors that a line names. */
const NAMES = 8
const ADVICE = 'give --onnx and --ptau, or a chain that certifies the ceremony (--chain, or --spec for its proof)'

/** As proofward/evidence/ceremony.py has it, but for the reader's own model and powers. */
function ceremony(
  model: Bundle['model'],
  artefact: Artefact | null,
  policy: Policy,
  certificate: Certificate | null,
): Check[] {
  if (!artefact) return [check('setup', null, "ceremony: the model's artefact is not the one that its id names")]
  const data = model.files.get(TRANSCRIPT)
  if (!data) {
    const told = `ceremony: ${policy.witness}, and there is no transcript that shows it; ${ADVICE}`
    return [certified(certificate) ?? check('setup', null, told)]
  }
  let held: Transcript
  let good: boolean | null
  try {
    held = readTranscript(data)
    if (!equal(held.circuit, model.circuitDigest)) {
      throw new Error(`its transcript is of circuit ${hex(held.circuit)}, not of the manifest's`)
    }
    good = endsIn(held, model.files.get('public/vk.bin') ?? new Uint8Array(0))
  } catch (error) {
    return [check('transcript', false, (error as Error).message)]
  }
  const digest = sha256(data)
  const last = held.contributions.at(-1)?.hash ?? digest
  if (certificate && ![digest, last].some((one) => equal(one, certificate.transcript))) {
    const told = `0x${hex(digest)}, and the chain certified another one, 0x${hex(certificate.transcript)}`
    return [check('transcript', false, told)]
  }
  const told =
    "ceremony: not checked: that the rest of the key is the circuit's over phase 1, " +
    `SHA-256 ${hex(held.phase1)}, and who made that; ${ADVICE}`
  return [check('transcript', good, toldOf(held, good)), certified(certificate) ?? check('setup', null, told)]
}

function certified(certificate: Certificate | null): Check | null {
  if (!certificate) return null
  const told = `ceremony, certified by the chain's governance as 0x${hex(certificate.transcript)}`
  return check('setup', true, `${told}: ${certificate.witness}`)
}

function toldOf(held: Transcript, good: boolean | null): string {
  if (good === null) return 'its beacon takes too many hashes for a page: `proofward verify` checks it'
  const secret = held.contributions.filter((one) => !one.beacon).map((one) => quoted(one.name))
  const names = secret.slice(0, NAMES).join(', ') + (secret.length > NAMES ? ', …' : '')
  return (
    `${secret.length} contributed a secret (${names}), of whom one honest one is enough; each share ` +
    "follows from those before it, and they end in the key's gamma and delta"
  )
}

function attested(
  evidence: NonNullable<Bundle['setupEvidence']>,
  model: Bundle['model'],
  genesis: Uint8Array,
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
  const { publisher, manifestHash, circuitDigest, vkHash } = model
  const bound = setupReportData(genesis, publisher, manifestHash, circuitDigest, vkHash, evidence.blockHash)
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
