// Block production. A block is built as soon as an extrinsic waits, and when a slot has passed without one, so that
// deadlines move; its time is the wall clock's. Every block is final as soon as it is there.
import { EventEmitter } from 'node:events'
import { hexToU8a, u8aToHex } from '@polkadot/util'
import { blake2AsHex, blake2AsU8a, xxhashAsHex } from '@polkadot/util-crypto'
import { bounded, MOST_MS } from './dryrun.mjs'
import { execute, processorMs, RuntimeError, runtimeVersion } from './executor.mjs'
import { genesisBlock, UNKNOWN_ROOT } from './genesis.mjs'
import { Ledger, LedgerError } from './ledger.mjs'
import { EXHAUSTS, FUTURE, notVerified, Pool, PoolError, readValidity, validityError } from './pool.mjs'
import { compact, concat, encodeHeader, Reader, sized, unsigned } from './scale.mjs'
import { Overlay, VersionedState } from './state.mjs'

export const CODE = '0x3a636f6465'
const storagePrefix = (pallet, item) => xxhashAsHex(pallet, 128) + xxhashAsHex(item, 128).slice(2)
const ACCOUNT = storagePrefix('System', 'Account')
const AUTHORITIES = storagePrefix('Aura', 'Authorities')
const SLOT = storagePrefix('Aura', 'CurrentSlot')
// Extrinsics that one block takes, and the part of the block time in which it takes more, as a node's author does; so
// many milliseconds at least. The rest waits for the next. Time is the processor's: what else the machine does makes no
// block smaller.
const BLOCK_CAPACITY = 512
const BLOCK_SHARE = 2 / 3
const BLOCK_MS = 250
// Milliseconds from one block to the next that waiting extrinsics bring about: those that come together share one.
const BLOCK_GAP = 25
// When some came while a block was built, the next waits for company: as many times longer as the block held extrinsics.
const MOST_GAP = 200
const HORIZON = 4096
// sp_timestamp's inherent identifier.
const TIMESTAMP = Buffer.from('timstap0')

// DigestItem::PreRuntime of Aura.
const slotDigest = (slot) => concat(Uint8Array.of(6), Buffer.from('aura'), sized(unsigned(slot, 8)))

export class DevChain {
  state
  // 'block' for each new one, with { block, changes }; and under an extrinsic's hash its status, as a node's
  // author_submitAndWatchExtrinsic spells it, with { block, index } beside it when it is in one, or why it was dropped.
  events = new EventEmitter()
  runtimeLogLevel = 0
  #spec
  #ledger
  #pool = new Pool()
  #building = Promise.resolve()
  #blockTime
  #steady = false
  #horizon
  #offset = 0
  #lastBuilt = 0
  #earliest = 0
  #wanted = false
  #busy = false // whether some came while the last block was built
  #wake = () => {}
  #stopped = false
  #log

  // `horizon` is how many blocks behind the head have their whole state.
  static async open(spec, { directory, blockTime, steady = false, log, horizon = HORIZON }) {
    const chain = new DevChain()
    chain.state = new VersionedState(horizon)
    chain.#horizon = horizon
    chain.#spec = spec
    chain.#blockTime = blockTime
    chain.#steady = steady
    chain.#log = log
    chain.events.setMaxListeners(0)
    const genesis = genesisBlock(spec)
    chain.state.commit(0, genesis.changes)
    chain.#ledger = await Ledger.open(
      genesis,
      directory,
      ({ number, changes }) => chain.state.commit(number, changes),
      (height, entries) => chain.state.restore(height, entries),
    )
    return chain
  }

  // ---- reading ------------------------------------------------------------------------------

  // A block is { number, hash, header, extrinsics, changes }, all but the number hexadecimal.
  get head() {
    return this.byHeight(this.#ledger.height)
  }

  get genesis() {
    return this.byHeight(0)
  }

  get spec() {
    return this.#spec
  }

  byHeight(number) {
    return this.#ledger.byHeight(number)
  }

  byHash(hash) {
    return this.#ledger.byHash(hash)
  }

  hashAt(number) {
    return this.#ledger.hashAt(number)
  }

  // The value of a key after `block`; null when it has none. Of a block beyond the horizon only what it set itself is
  // known: undefined for the rest.
  read(key, { number, changes }) {
    if (number >= this.state.oldest) return this.state.read(key, number)
    return changes.find(([name]) => name === key)?.[1]
  }

  get pending() {
    return this.#pool.pendingExtrinsics
  }

  // Run one function of the runtime over `overlay`, keeping what it changes there. Throws a RuntimeError when it traps.
  run(overlay, name, input, most) {
    const log = (line) => this.#log('runtime', { line })
    return execute(overlay.read(CODE), name, input, overlay, { log, level: this.runtimeLogLevel, most })
  }

  // The same on the state after `block`, keeping nothing, and for no longer than everybody can wait.
  call(block, name, input) {
    return this.run(new Overlay(this.state, block.number), name, bounded(name, input), MOST_MS)
  }

  version(block) {
    return runtimeVersion(this.state.read(CODE, block.number))
  }

  // What BlockBuilder_apply_extrinsic answers on top of `block`, as hexadecimal.
  dryRun(block, bytes) {
    const overlay = new Overlay(this.state, block.number)
    this.#begin(overlay, block)
    return this.run(overlay, 'BlockBuilder_apply_extrinsic', bytes)
  }

  // ---- extrinsics ---------------------------------------------------------------------------

  // Put a valid extrinsic into the pool; gives its hash and status. Throws a PoolError.
  submit(bytes) {
    const hash = blake2AsHex(hexToU8a(bytes), 256)
    const source = '02' // TransactionSource::External
    const input = `0x${source}${bytes.slice(2)}${this.head.hash.slice(2)}`
    let validity
    try {
      validity = hexToU8a(this.call(this.head, 'TaggedTransactionQueue_validate_transaction', input))
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error
      throw new PoolError(notVerified(error))
    }
    if (validity[0] !== 0) throw new PoolError(validityError(validity, 1))
    const replaced = this.#pool.add({ hash, bytes, ...readValidity(validity.subarray(1)) })
    for (const other of replaced) this.events.emit(other, { usurped: hash })
    const ready = this.#pool.ready(hash)
    this.#wanted ||= ready
    if (ready) this.#wake()
    return { hash, status: ready ? 'ready' : 'future' }
  }

  // The next nonce of an account (32 bytes), behind those that wait here without a gap.
  nextNonce(account) {
    const key = u8aToHex(concat(hexToU8a(ACCOUNT), blake2AsU8a(account, 128), account))
    const stored = this.state.read(key, this.head.number)
    const nonce = stored ? new Reader(hexToU8a(stored)).u32() : 0 // the first field of the record
    return this.#pool.nextNonce(Buffer.from(account).toString('hex'), nonce)
  }

  // ---- blocks -------------------------------------------------------------------------------

  // Move the clock: the next block has this time, in milliseconds, and time goes on from there.
  travel(milliseconds) {
    this.#offset = milliseconds - Date.now()
  }

  // Build one block of what waits. Blocks are built one at a time.
  newBlock() {
    // between two blocks the server gets its turn
    const built = this.#building.then(() => new Promise(setImmediate)).then(() => this.#build())
    this.#building = built.catch(() => {})
    return built
  }

  async #build() {
    this.#lastBuilt = Date.now()
    const parent = this.head
    const overlay = new Overlay(this.state, parent.number)
    const inherents = this.#inherents(overlay, this.#begin(overlay, parent))
    for (const inherent of inherents) this.run(overlay, 'BlockBuilder_apply_extrinsic', inherent)
    const included = await this.#fill(overlay)
    const header = this.run(overlay, 'BlockBuilder_finalize_block', '0x')
    const extrinsics = [...inherents, ...included.map(({ bytes }) => bytes)]
    const record = { number: parent.number + 1, hash: blake2AsHex(header, 256), header, extrinsics }
    return this.#import(record, overlay.changes, included)
  }

  // Apply what waits, and what comes meanwhile: requests are answered between two extrinsics. Gives those included.
  async #fill(overlay) {
    const until = processorMs() + Math.max(BLOCK_MS, this.#blockTime * BLOCK_SHARE)
    const tried = new Set()
    const included = []
    this.#busy = false
    for (let fresh = true; fresh; ) {
      fresh = false
      this.#wanted = false
      const later = tried.size > 0
      for (const entry of this.#pool.take(BLOCK_CAPACITY)) {
        if (tried.has(entry.hash)) continue
        if (included.length > 0) {
          if (processorMs() > until) return included
          await new Promise(setImmediate)
        }
        if (!this.#pool.has(entry.hash)) continue // another took its place
        tried.add(entry.hash)
        fresh = true
        this.#busy ||= later
        const answer = this.#apply(overlay, entry, included.length === 0)
        if (answer === 'full') return included
        if (answer === 'included') included.push(entry)
      }
    }
    return included
  }

  // Try one extrinsic on top of the block so far; only a success leaves anything behind.
  #apply(overlay, { hash, bytes }, first) {
    let refusal
    overlay.start()
    try {
      const result = hexToU8a(this.run(overlay, 'BlockBuilder_apply_extrinsic', bytes)) // ApplyExtrinsicResult
      if (result[0] === 0) {
        overlay.commit()
        return 'included'
      }
      refusal = validityError(result, 1)
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error
      refusal = notVerified(error)
    }
    overlay.rollback()
    if (refusal.invalid === EXHAUSTS && !first) return 'full'
    if (refusal.invalid === FUTURE && this.#pool.retry(hash)) return 'later'
    this.#pool.remove(hash)
    this.#log('dropped', { extrinsic: hash, reason: refusal.data })
    this.events.emit(hash, refusal.invalid === undefined ? 'dropped' : 'invalid', { reason: refusal.data })
    return 'dropped'
  }

  #import(block, changes, included) {
    // what was never there is not removed
    const set = [...changes].filter(([key, value]) => value !== null || this.state.read(key, block.number - 1) !== null)
    this.#ledger.append({ ...block, changes: set })
    this.state.commit(block.number, changes)
    if (block.number % this.#horizon === 0) this.#snapshot()
    this.#pool.included(included)
    for (const { hash } of this.#pool.age()) {
      this.#log('dropped', { extrinsic: hash, reason: 'what it requires did not come' })
      this.events.emit(hash, 'dropped', { reason: 'what it requires did not come' })
    }
    // what waits may wait for these
    this.#wanted ||= included.length > 0 && this.#pool.size > 0
    this.events.emit('block', { block, changes })
    const first = block.extrinsics.length - included.length
    for (const [at, { hash }] of included.entries()) {
      this.events.emit(hash, { inBlock: block.hash }, { block, index: first + at })
    }
    return block
  }

  // Of the oldest block whose state is known, so that a start from it knows as much.
  #snapshot() {
    const { oldest } = this.state
    try {
      if (oldest > 0) this.#ledger.snapshot(oldest, this.state.entries(oldest))
    } catch (error) {
      this.#log('snapshot failed', { error: String(error) })
    }
  }

  // Begin the block behind `parent`: gives its time. A runtime with Aura wants each block's slot in its digest, never an
  // earlier one, and the time in that slot: then time moves on by a slot where it does not allow two blocks in one.
  #begin(overlay, parent) {
    const now = Math.max(Date.now() + this.#offset, 0)
    const draft = {
      parentHash: parent.hash,
      number: parent.number + 1,
      stateRoot: UNKNOWN_ROOT,
      extrinsicsRoot: UNKNOWN_ROOT,
    }
    const initialize = (logs) => this.run(overlay, 'Core_initialize_block', encodeHeader({ ...draft, logs }))
    if (overlay.read(AUTHORITIES) === null) {
      initialize([])
      return now
    }
    const number = (hex) => (hex === null ? 0 : Number(new Reader(hexToU8a(hex)).unsigned(8)))
    const length = number(this.call(parent, 'AuraApi_slot_duration', '0x'))
    const last = number(overlay.read(SLOT))
    let slot = Math.max(Math.floor(now / length), last)
    try {
      initialize([slotDigest(slot)])
    } catch (error) {
      if (!(error instanceof RuntimeError) || slot > last) throw error
      slot = last + 1
      initialize([slotDigest(slot)])
    }
    return Math.max(now, slot * length)
  }

  // The extrinsics that every block begins with, made by the runtime from the time.
  #inherents(overlay, now) {
    const data = concat(compact(1), TIMESTAMP, sized(unsigned(now, 8))) // InherentData: a map of identifiers
    const answer = this.run(overlay, 'BlockBuilder_inherent_extrinsics', u8aToHex(data))
    return new Reader(hexToU8a(answer)).list((reader) => u8aToHex(sized(reader.sized())))
  }

  // Build blocks until `close`. Throws a LedgerError when one cannot be kept.
  async produce() {
    while (!this.#stopped) {
      const due = this.#lastBuilt + (this.#wanted && !this.#steady ? BLOCK_GAP : this.#blockTime)
      const rest = Math.max(due, this.#earliest) - Date.now()
      if (rest > 0) {
        await this.#sleep(Math.min(rest, this.#blockTime))
        continue
      }
      try {
        const { extrinsics } = await this.newBlock()
        const ended = Date.now()
        await new Promise(setImmediate) // what came meanwhile is heard
        if (this.#wanted || this.#busy)
          this.#earliest = ended + Math.min(BLOCK_GAP * extrinsics.length, MOST_GAP, this.#blockTime)
      } catch (error) {
        if (error instanceof LedgerError) throw error
        this.#log('block failed', { error: String(error?.stack ?? error) })
        await this.#sleep(this.#blockTime)
      }
    }
  }

  #sleep(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async close() {
    this.#stopped = true
    this.#wake()
    await this.#building
    this.#ledger.close()
  }
}
