// Extrinsics that wait for a block, and the words in which a Substrate node refuses one. Order and replacement go by
// what the runtime's validation says, as in a node's pool: tags that an extrinsic requires and provides, and a priority.
import { u8aToHex } from '@polkadot/util'
import { Reader } from './scale.mjs'

// Blocks that an extrinsic may wait for what it requires.
const PATIENCE = 64
const CAPACITY = 4096
const MOST_BYTES = 64 * 1024 * 1024

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

// What a node says about an extrinsic that its runtime could not even judge.
export function notVerified({ message }) {
  const text = `Execution failed: ${message}`
  return {
    code: 1002,
    message: `Verification Error: Runtime error: ${text}`,
    data: `RuntimeApi(${JSON.stringify(text)})`,
  }
}

// sp_runtime's ValidTransaction, from SCALE: priority as a bigint, tags as hexadecimal.
export function readValidity(bytes) {
  const reader = new Reader(bytes)
  const tags = () => reader.list(() => u8aToHex(reader.sized()))
  return { priority: reader.unsigned(8), requires: tags(), provides: tags() }
}

export class PoolError extends Error {
  constructor({ code, message, data }) {
    super(message)
    this.code = code
    this.data = data
  }
}

export class Pool {
  #waiting = new Map() // hash -> { hash, bytes, priority, requires: Set, provides, seen }
  #byTag = new Map() // provided tag -> hash
  #size = 0

  // Put an extrinsic in; gives those that it replaces, which provide the same at a lower priority. Throws a PoolError.
  add({ hash, bytes, priority, requires, provides }) {
    if (this.#waiting.has(hash)) {
      throw new PoolError({ code: 1013, message: 'Transaction Already Imported', data: hash })
    }
    const others = new Set(provides.map((tag) => this.#byTag.get(tag)).filter((other) => other !== undefined))
    const old = [...others].reduce((sum, other) => sum + this.#waiting.get(other).priority, 0n)
    if (others.size > 0 && priority <= old) {
      const data = 'The transaction has too low priority to replace another transaction already in the pool.'
      throw new PoolError({ code: 1014, message: `Priority is too low: (${old} vs ${priority})`, data })
    }
    const full = this.#waiting.size - others.size >= CAPACITY || this.#size + bytes.length > MOST_BYTES
    if (full) throw new PoolError({ code: 1016, message: 'Immediately Dropped', data: 'the pool is full' })
    for (const other of others) this.remove(other)
    this.#waiting.set(hash, { hash, bytes, priority, requires: new Set(requires), provides, seen: 0 })
    for (const tag of provides) this.#byTag.set(tag, hash)
    this.#size += bytes.length
    return [...others]
  }

  has(hash) {
    return this.#waiting.has(hash)
  }

  get size() {
    return this.#waiting.size
  }

  // Those whose requirements are met by the state or by others in front of them, highest priority first, and then in
  // the order of their arrival; `count` at most.
  take(count) {
    const taken = []
    const met = new Set()
    const urgency = (one, other) => Number(other.priority > one.priority) - Number(other.priority < one.priority)
    let rest = [...this.#waiting.values()].sort(urgency)
    for (let grown = true; grown && taken.length < count; ) {
      grown = false
      const later = []
      for (const entry of rest) {
        if (taken.length < count && [...entry.requires].every((tag) => met.has(tag))) {
          taken.push(entry)
          for (const tag of entry.provides) met.add(tag)
          grown = true
        } else later.push(entry)
      }
      rest = later
    }
    return taken
  }

  // Whether all that an extrinsic requires is in the pool.
  ready(hash) {
    const seen = new Set()
    const open = [hash]
    while (open.length > 0) {
      const one = open.pop()
      if (seen.has(one)) continue
      seen.add(one)
      for (const tag of this.#waiting.get(one)?.requires ?? []) {
        const provider = this.#byTag.get(tag)
        if (provider === undefined) return false
        open.push(provider)
      }
    }
    return true
  }

  remove(hash) {
    const entry = this.#waiting.get(hash)
    if (!entry) return
    this.#waiting.delete(hash)
    this.#size -= entry.bytes.length
    for (const tag of entry.provides) if (this.#byTag.get(tag) === hash) this.#byTag.delete(tag)
  }

  // Take out those that a block includes: what they provide is in the state now.
  included(entries) {
    const met = new Set(entries.flatMap(({ provides }) => provides))
    for (const { hash } of entries) this.remove(hash)
    for (const entry of this.#waiting.values())
      for (const tag of entry.requires) if (met.has(tag)) entry.requires.delete(tag)
  }

  // Keep one for a later block; false when it has waited long enough.
  retry(hash) {
    const entry = this.#waiting.get(hash)
    if (!entry) return false
    entry.seen += 1
    return entry.seen < PATIENCE
  }

  // A block has passed: take out those that have waited for others long enough, and give them.
  age() {
    const ready = new Set(this.take(Infinity))
    const old = [...this.#waiting.values()].filter((entry) => !ready.has(entry) && !this.retry(entry.hash))
    for (const { hash } of old) this.remove(hash)
    return old
  }

  get pendingExtrinsics() {
    return [...this.#waiting.values()].map(({ bytes }) => bytes)
  }

  // The next nonce of an account (hexadecimal, no prefix) whose next one in the state is `nonce`, behind those that wait
  // here without a gap: an account's extrinsic provides its id and its nonce.
  nextNonce(account, nonce) {
    const word = new DataView(new ArrayBuffer(4))
    const tag = (value) => {
      word.setUint32(0, value, true)
      return `0x${account}${Buffer.from(word.buffer).toString('hex')}`
    }
    let next = nonce
    while (this.#byTag.has(tag(next))) next += 1
    return next
  }
}
