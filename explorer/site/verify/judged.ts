// Which receipts of answers a chain can judge: a stake is behind these, and behind no others
// (proofward/evidence/judged.py, chain/pallets/workers/src/answers.rs).
import { utf8 } from './bytes.js'
import { type Check, said } from './check.js'

/** Longest receipt that a chain reads, in bytes. */
const MAX_JUDGED = 16 * 1024
const CANONICAL =
  /^\{"api_version":"aci\/1","chat_id":.*,"receipt_id":"[A-Za-z0-9_.:-]{1,128}","served_at":[0-9]+,"workload_keyset_digest":"sha256:[0-9a-f]{64}"\}$/s

/** A line where no stake can be behind a receipt whose signature holds; none where one can. */
export function stakeChecks(signed: string, keys: number): Check[] {
  const length = utf8(signed).length
  let why: string
  if (!CANONICAL.test(signed)) why = 'its members are not those, in the order, that a chain reads'
  else if (length > MAX_JUDGED) why = `it has ${length} bytes, and a chain reads ${MAX_JUDGED}`
  else if (keys > 1) why = `its gateway lists ${keys} receipt keys, and a registration has one`
  else return []
  return [said('stake', `not behind this receipt: ${why}; two of its id could not be shown to one`)]
}
