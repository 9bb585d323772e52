// What a dry run may cost everybody. A node runs calls beside its blocks; here one call at a time has the processor.
import { hexToU8a, u8aToHex } from '@polkadot/util'
import { concat, Reader, ScaleError } from './scale.mjs'

// Processor time that one call of the runtime may take.
export const MOST_MS = 10_000
// Weight's ref_time, in picoseconds, that a block takes; and what the runtime takes for a limit that is not named.
const BLOCK_REF_TIME = 2_000_000_000_000n
const UNLIMITED = 0

// Functions in which the caller names a weight limit, an Option<Weight>, and the bytes in front of it: accounts are of
// 32, addresses of 20, balances of 16, and an input with a version begins with it.
const LIMIT_AT = new Map([
  ['ReviveApi_call', 32 + 20 + 16],
  ['ReviveApi_call_versioned', 1 + 32 + 20 + 16],
  ['ReviveApi_instantiate', 32 + 16],
  ['ReviveApi_instantiate_versioned', 1 + 32 + 16],
])

// The same input (hexadecimal) with no weight limit beyond a block's.
export function bounded(name, input) {
  const at = LIMIT_AT.get(name)
  if (at === undefined) return input
  try {
    const bytes = hexToU8a(input)
    const reader = new Reader(bytes)
    const front = reader.take(at)
    if (reader.u8() === UNLIMITED || reader.big() <= BLOCK_REF_TIME) return input
    reader.big() // proof_size
    return u8aToHex(concat(front, Uint8Array.of(UNLIMITED), reader.rest))
  } catch (error) {
    if (error instanceof ScaleError) return input // the runtime says what is wrong with it
    throw error
  }
}
