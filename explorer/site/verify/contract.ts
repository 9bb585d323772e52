// The lanes' verifier contracts as this version knows them.
import artefact from '../../../proofward/zkml/contracts/Groth16Verifier.json'
import { equal, hex, unhex } from './bytes.js'
import { type Check, check } from './check.js'
import { keccak256 } from './hashes.js'
import type { Lane } from './protocol.js'

/** Whether the contract that gave the verdict on the chain is the lane's. */
export function contractCheck(lane: Lane, verifier: Uint8Array, code: Uint8Array): Check {
  if (lane !== 'groth16') {
    return check(
      'contract',
      null,
      `the ${lane} lane has no verifier contract of its own: each of its models brings one`,
    )
  }
  const same = equal(code, unhex(artefact.runtime_code))
  let detail = `code hash 0x${hex(keccak256(code))}`
  if (!same) detail += `, the ${lane} lane's verifier has 0x${artefact.code_hash}: its word proves nothing`
  return check('contract', same, detail, {
    address: `0x${hex(verifier)}`,
    code: `${code.length} bytes`,
    expected: `0x${artefact.code_hash}`,
  })
}
