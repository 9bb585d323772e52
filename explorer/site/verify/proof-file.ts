// A proof by itself (`proofward prove`): no chain, no worker, so no level; only the manifest vouches for the setup.
import { hex, unhex } from './bytes.js'
import { check, said } from './check.js'
import { proves, quoted, unpack } from './model.js'
import type { Policy } from './policy.js'
import { type Fields, isFields, parseStrict, stringOf } from './strict-json.js'
import { type Verdict, verdictOf } from './verdict.js'

export const PROOF_FORMAT = 'proofward/proof/v1'
const MAX_PROOF_FILE = 1 << 20

export interface ProofFile {
  readonly manifestHash: string
  readonly input: Uint8Array
  readonly output: Uint8Array
  readonly proof: Uint8Array
}

/** Throws for a file that is none. */
export function readProof(data: Uint8Array): ProofFile {
  try {
    const fields = parseStrict(data, MAX_PROOF_FILE)
    if (!isFields(fields) || fields.format !== PROOF_FORMAT || Object.keys(fields).length !== 5) throw new Error()
    const bytes = (name: keyof Fields & string) => unhex(stringOf(fields[name]))
    const [input, output] = [bytes('input_commitment'), bytes('output_commitment')]
    return { manifestHash: hex(bytes('manifest_hash')), input, output, proof: bytes('proof') }
  } catch {
    throw new Error(`it is not a proof file (${PROOF_FORMAT})`)
  }
}

/** As `proofward verify PROOF --artifact DIR`. Throws where the artefact is another model's, or none. */
export function verifyProofFile(one: ProofFile, files: ReadonlyMap<string, Uint8Array>, policy: Policy): Verdict {
  const [artefact, manifestHash] = unpack(files)
  if (manifestHash !== one.manifestHash)
    throw new Error(
      `the proof is about the model with manifest hash 0x${one.manifestHash}, the artefact is 0x${manifestHash}`,
    )
  const { manifest } = artefact
  const admitted = policy.development
  const dev = 'dev: one party made the keys and could forge proofs'
  const setup =
    manifest.setup === 'dev'
      ? check('setup', admitted, admitted ? dev : `${dev}; refused without --dev`)
      : check('setup', null, `${manifest.setup}: only the manifest says so; a job on a chain has the evidence`)
  const flag = manifest.setup === 'dev' ? 'setup: dev' : `setup: ${manifest.setup}, not checked`
  return verdictOf('', manifest.lane === 'groth16' ? [flag] : ['not hiding', flag], [
    proves(artefact, one.input, one.output, one.proof),
    setup,
    check('chain', null, 'a proof by itself is of no job on any chain, and no enclave vouches for it'),
    said('model name', `${quoted(manifest.name)}: the publisher's own word`),
  ])
}
