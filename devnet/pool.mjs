// Extrinsics that wait for a block, and the words in which a Substrate node refuses one.

// Blocks that an extrinsic with a nonce in the future may wait for the ones before it.
const PATIENCE = 64
const CAPACITY = 1024

const INVALID = [
  'Transaction call is not expected',
  'Inability to pay some fees (e.g. account balance too low)',
  'Transaction will be valid in the future',
  'Transaction is outdated',
  'Transaction has a bad signature',
  'Transaction has an ancient birth block',
  'Transaction would exhaust the block limits',
  'Custom error',
  'A call was labelled as mandatory, but resulted in an Error.',
  'Transaction dispatch is mandatory; transactions must not be validated.',
  'Invalid signing address',
  'The implicit data was unable to be calculated',
]
export const FUTURE = 2
const CUSTOM = 7
export const EXHAUSTS = 6

// sp_runtime's TransactionValidityError, decoded from the byte at `at` (its two enums are indexed by position).
export function validityError(bytes, at) {
  const [kind, variant] = [bytes[at], bytes[at + 1]]
  if (kind !== 0) return { code: 1011, message: 'Unknown Transaction Validity', data: `variant ${variant}` }
  const text = INVALID[variant] ?? `variant ${variant}`
  const data = variant === CUSTOM ? `${text}: ${bytes[at + 2]}` : text
  return { invalid: variant, code: 1010, message: 'Invalid Transaction', data }
}

export class PoolError extends Error {
  constructor({ code, message, data }) {
    super(message)
    this.code = code
    this.data = data
  }

  toJSON() {
    return { code: this.code, message: this.message, data: this.data }
  }
}

export class Pool {
  #waiting = new Map() // hash -> { hash, bytes, signer, nonce, seen }

  add(entry) {
    if (this.#waiting.has(entry.hash)) {
      throw new PoolError({ code: 1013, message: 'Transaction Already Imported', data: entry.hash })
    }
    if (this.#waiting.size >= CAPACITY) {
      throw new PoolError({ code: 1016, message: 'Immediately Dropped', data: 'the pool is full' })
    }
    this.#waiting.set(entry.hash, { ...entry, seen: 0 })
  }

  // Up to `count` extrinsics, an account's in the order of their nonces.
  take(count) {
    return [...this.#waiting.values()].sort((one, other) => (one.nonce ?? 0) - (other.nonce ?? 0)).slice(0, count)
  }

  remove(hash) {
    this.#waiting.delete(hash)
  }

  // Keep one for a later block; false when it has waited long enough.
  retry(hash) {
    const entry = this.#waiting.get(hash)
    entry.seen += 1
    return entry.seen < PATIENCE
  }

  get pendingExtrinsics() {
    return [...this.#waiting.values()].map(({ bytes }) => bytes)
  }

  // The next nonce of an account whose next one in the state is `nonce`, behind those that wait here without a gap.
  nextNonce(signer, nonce) {
    const waiting = new Set([...this.#waiting.values()].filter((one) => one.signer === signer).map((one) => one.nonce))
    let next = nonce
    while (waiting.has(next)) next += 1
    return next
  }
}
