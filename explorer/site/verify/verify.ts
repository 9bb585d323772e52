// Verify a job's evidence again: one named check a line, and a verdict that says what it rests on.
//
// The checks, their names, their order and their words are those of `proofward verify` (proofward/evidence);
// tests hold both against each other on the same bundles. Nothing here asks a network.
import type { Bundle } from './bundle.js'
import { hex } from './bytes.js'
import { type Check, check, said } from './check.js'
import { contractChecks } from './contract.js'
import { sha256 } from './hashes.js'
import { type Included, included } from './inclusion.js'
import { type Artefact, modelChecks, proofCheck, quoted } from './model.js'
import type { Policy } from './policy.js'
import {
  acceptable,
  decodeSetup,
  type Lane,
  LEVELS,
  receiptMessage,
  type Setup,
  setupText,
  verifySignature,
} from './protocol.js'
import type { Level } from './roots.js'
import { setupChecks } from './setup.js'
import { orderChecks } from './times.js'
import { type Verdict, verdictOf } from './verdict.js'
import { workerChecks } from './worker.js'

/**
 * Check everything that a bundle claims. Never throws for bad evidence: a check fails.
 * `told` hears of each group of checks as it is made, and the page may paint in between.
 */
export async function verifyBundle(
  bundle: Bundle,
  policy: Policy,
  told: (made: readonly Check[]) => unknown = () => {},
): Promise<Verdict> {
  let artefact: Artefact | null = null
  let found: Included | undefined
  const state = (): Included => {
    found ??= included(bundle, policy)
    return found
  }
  const groups: (() => Check[])[] = [
    () => chainChecks(bundle.chain, policy),
    () => {
      const [found, checks] = modelChecks(bundle.model, bundle.job.model)
      artefact = found
      return checks
    },
    () => workerChecks(bundle.result.worker, bundle.worker, bundle.chain.genesis, policy),
    () => [receiptCheck(bundle)],
    () => [proofCheck(artefact, bundle.job.inputCommitment, bundle.result.outputCommitment, bundle.result.proof)],
    () => contractChecks(bundle.model, policy),
    () =>
      setupChecks(
        {
          encoded: bundle.result.setup,
          evidence: bundle.setupEvidence,
          model: bundle.model,
          genesis: bundle.chain.genesis,
        },
        artefact,
        policy,
        state().certificate ?? policy.certified.get(hex(bundle.job.model)) ?? null,
      ),
    () => [levelCheck(bundle, policy), termsCheck(bundle, policy)],
    () => orderChecks(bundle, policy),
    () => [...state().checks],
    () => [said('client', `0x${hex(bundle.job.client)}, who may be anybody: ${policy.witness}`)],
  ]
  const checks: Check[] = []
  for (const group of groups) {
    const started = performance.now()
    const made = group()
    const ms = performance.now() - started
    const timed = made.map((one) => ({ ...one, ms }))
    checks.push(...timed)
    await told(timed)
  }
  return verdictOf(hex(bundle.job.id), flagsOf(bundle.model.lane, bundle.result.level, bundle.result.setup), checks)
}

export function flagsOf(lane: Lane, level: Level, encoded: Uint8Array): string[] {
  const flags = lane === 'groth16' ? [] : ['not hiding']
  if (level !== 'hardware') flags.push('simulated')
  let setup: Setup
  try {
    setup = decodeSetup(encoded)
  } catch {
    return [...flags, 'setup: unknown']
  }
  if (setup.kind === 'dev') flags.push('setup: dev')
  else if (setup.level === 'simulated') flags.push('setup: attested, simulated')
  return flags
}

export function chainChecks(chain: Bundle['chain'], policy: Policy): Check[] {
  const found = hex(chain.genesis)
  const named = said('chain name', `${quoted(chain.name)}, ${quoted(chain.type)}: ${policy.witness}`)
  const told = `genesis 0x${found}`
  const inputs = { genesis: `0x${found}`, pinned: policy.genesis === null ? 'nothing' : `0x${policy.genesis}` }
  if (policy.genesis === null)
    return [check('chain', null, `${told}: no genesis is pinned; give --genesis`, inputs), named]
  if (found !== policy.genesis)
    return [check('chain', false, `${told} is not the pinned 0x${policy.genesis}`, inputs), named]
  return [check('chain', true, `${told}, as pinned`, inputs), named]
}

function receiptCheck({ chain, job, result, model, worker }: Bundle): Check {
  const message = receiptMessage({
    hashes: [
      chain.genesis,
      job.id,
      job.model,
      result.worker,
      model.weightsDigest,
      job.inputCommitment,
      result.outputCommitment,
      sha256(result.sealedOutput),
      sha256(result.proof),
    ],
    level: result.level,
    setup: result.setup,
    block: result.receiptBlock,
  })
  const inputs = {
    message: hex(message),
    signature: hex(result.receiptSignature),
    'receipt key': hex(worker.receiptKey),
  }
  try {
    decodeSetup(result.setup)
  } catch (error) {
    return check('receipt', false, (error as Error).message, inputs)
  }
  if (!verifySignature(worker.receiptKey, message, result.receiptSignature)) {
    return check('receipt', false, 'the signature is not by this receipt key over this record', inputs)
  }
  const told = `signed by the enclave's key ${hex(worker.receiptKey)} at block ${result.receiptBlock}`
  return check('receipt', true, told, inputs)
}

function levelCheck({ result, worker, job }: Bundle, policy: Policy): Check {
  const { level } = result
  const inputs = {
    receipt: level,
    "worker's record": worker.level,
    "job's least": job.minLevel,
    "reader's least": policy.development ? 'simulated' : 'hardware',
  }
  if (worker.level !== level)
    return check('level', false, `the receipt says ${level}, the worker's record ${worker.level}`, inputs)
  if (LEVELS.indexOf(level) < LEVELS.indexOf(job.minLevel)) {
    return check('level', false, `${level}, below the job's own ${job.minLevel}`, inputs)
  }
  const good = level === 'hardware' || policy.development
  return check('level', good, good ? level : `${level}; refused without --dev`, inputs)
}

/** What the job asked for is somebody's word; that its result keeps to it is checked, as a chain would. */
function termsCheck({ job, result }: Bundle, policy: Policy): Check {
  const byOne = job.allowDevSetup ? 'keys that one party made' : 'no keys that one party made'
  const asked = `level ${job.minLevel} at least, ${byOne}`
  let setup: Setup
  try {
    setup = decodeSetup(result.setup)
  } catch (error) {
    return check('terms', false, (error as Error).message)
  }
  if (acceptable(setup, job.minLevel, job.allowDevSetup)) return said('terms', `${asked}: ${policy.witness}`)
  return check('terms', false, `the result rests on a setup ${setupText(setup)}, and the job asked for ${asked}`)
}
