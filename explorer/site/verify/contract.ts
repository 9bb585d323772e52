// The lanes' verifier contracts as this version knows them.
import artefact from '../../../proofward/zkml/contracts/Groth16Verifier.json'
import type { Bundle } from './bundle.js'
import { equal, hex, hex0x, unhex } from './bytes.js'
import { type Check, check, said } from './check.js'
import { keccak256 } from './hashes.js'
import type { Policy } from './policy.js'
import type { Lane } from './protocol.js'

/** Whether the contract that gave the verdict on the chain is the lane's; its address is the proved state's to say. */
export const contractChecks = (model: Bundle['model'], policy: Policy): Check[] => [
  codeCheck(model.lane, model.contractCode),
  said('contract address', `${hex0x(model.verifier)}: ${policy.witness}`),
]

function codeCheck(lane: Lane, code: Uint8Array): Check {
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
    code: `${code.length} bytes`,
    expected: `0x${artefact.code_hash}`,
  })
}
