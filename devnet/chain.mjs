// Block production. A block is built as soon as an extrinsic waits, and when a slot has passed without one, so that
// deadlines move; its time is the wall clock's. Chopsticks gives the rest: blocks, decoded metadata, RPC handlers.
import { EventEmitter } from 'node:events'
import { Api, Block, Blockchain, BuildBlockMode } from '@acala-network/chopsticks-core'
import { GenericExtrinsic } from '@polkadot/types'
import { hexToU8a, u8aConcat, u8aToHex } from '@polkadot/util'
import { blake2AsHex, blake2AsU8a, decodeAddress, encodeAddress, xxhashAsHex } from '@polkadot/util-crypto'
import { execute, RuntimeError, runtimeVersion } from './executor.mjs'
import { encodeHeader, genesisBlock, genesisProvider, UNKNOWN_ROOT } from './genesis.mjs'
import { Ledger, LedgerError } from './ledger.mjs'
import { EXHAUSTS, FUTURE, Pool, PoolError, validityError } from './pool.mjs'
import { Overlay, VersionedState } from './state.mjs'

const SS58_PREFIX = 42
const CODE = '0x3a636f6465'
const storagePrefix = (pallet, item) => xxhashAsHex(pallet, 128) + xxhashAsHex(item, 128).slice(2)
const NOW = storagePrefix('Timestamp', 'Now')
const ACCOUNT = storagePrefix('System', 'Account')
// Extrinsics that one block takes: more wait for the next.
const BLOCK_CAPACITY = 64
// Blocks kept as objects; older ones are made again from the ledger when asked for.
const RECENT = 256

class DevBlock extends Block {
  #chain
  #record

  // `like` is any block with the same runtime: its decoded metadata is shared.
  constructor(chain, record, like) {
    const storage = chain.state.at(record.number)
    super(chain, record.number, record.hash, like, { header: undefined, extrinsics: record.extrinsics, storage })
    this.#chain = chain
    this.#record = record
  }

  get header() {
    return this.registry.then((registry) => registry.createType('Header', hexToU8a(this.#record.header)))
  }

  get parentBlock() {
    return this.number === 0 ? Promise.resolve(undefined) : this.#chain.getBlockAt(this.number - 1)
  }

  async call(method, args) {
    const input = `0x${args.map((argument) => argument.slice(2)).join('')}`
    return { result: this.#chain.run(new Overlay(this.#chain.state, this.number), method, input) }
  }

  get runtimeVersion() {
    return this.wasm.then(runtimeVersion)
  }
}

export class DevChain extends Blockchain {
  state = new VersionedState()
  events = new EventEmitter()
  #ledger
  #pool = new Pool()
  #recent = new Map()
  #building = Promise.resolve()
  #blockTime
  #offset = 0
  #lastBuilt = 0
  #wanted = false
  #wake = () => {}
  #stopped = false
  #log

  static async open(spec, { directory, blockTime, log }) {
    const genesis = genesisBlock(spec)
    const api = new Api(genesisProvider(spec, genesis))
    await api.isReady
    const chain = new DevChain({
      api,
      buildBlockMode: BuildBlockMode.Manual,
      inherentProviders: [],
      header: { hash: genesis.hash, number: 0 },
      maxMemoryBlockCount: RECENT,
    })
    chain.#blockTime = blockTime
    chain.#log = log
    chain.events.setMaxListeners(0)
    chain.state.commit(0, genesis.changes)
    chain.#ledger = await Ledger.open(genesis, directory, (block) => chain.state.commit(block.number, block.changes))
    await chain.setHead(chain.#block(chain.#ledger.byHeight(chain.#ledger.height)))
    return chain
  }

  // ---- reading ------------------------------------------------------------------------------

  get txPool() {
    return this.#pool
  }

  #block(record) {
    let block = this.#recent.get(record.hash)
    if (block) return block
    const head = this.head instanceof DevBlock ? this.head : undefined
    const same = head && this.state.changedAt(CODE, head.number) === this.state.changedAt(CODE, record.number)
    block = new DevBlock(this, record, same ? head : undefined)
    this.#recent.set(record.hash, block)
    if (this.#recent.size > RECENT) this.#recent.delete(this.#recent.keys().next().value)
    return block
  }

  async getBlockAt(number) {
    if (number === null || number === undefined) return this.head
    const record = this.#ledger.byHeight(number)
    return record && this.#block(record)
  }

  async getBlock(hash) {
    if (hash === null || hash === undefined) return this.head
    const record = this.#ledger.byHash(hash)
    return record && this.#block(record)
  }

  // Run one function of the runtime over `overlay`, keeping what it changes there. Throws a RuntimeError when it traps.
  run(overlay, name, input) {
    const log = (line) => this.#log('runtime', { line })
    return execute(overlay.read(CODE), name, input, overlay, { log, level: this.runtimeLogLevel })
  }

  // ---- extrinsics ---------------------------------------------------------------------------

  // Put a valid extrinsic into the pool; gives its hash. Rejects with a PoolError.
  async submitExtrinsic(bytes) {
    const source = '0x02' // TransactionSource::External
    const answer = await this.head.call('TaggedTransactionQueue_validate_transaction', [source, bytes, this.head.hash])
    const validity = hexToU8a(answer.result)
    if (validity[0] !== 0) throw new PoolError(validityError(validity, 1))
    const hash = blake2AsHex(hexToU8a(bytes), 256)
    this.#pool.add({ hash, bytes, ...(await this.#signerOf(bytes)) })
    this.#wanted = true
    this.#wake()
    return hash
  }

  async #signerOf(bytes) {
    const registry = await this.head.registry
    try {
      const { isSigned, signer, nonce } = registry.createType('GenericExtrinsic', bytes)
      return isSigned ? { signer: encodeAddress(signer.toString(), SS58_PREFIX), nonce: nonce.toNumber() } : {}
    } catch {
      return {} // a format that polkadot.js cannot read
    }
  }

  // The next nonce of an account (SS58), behind those that wait here without a gap.
  nextNonce(address) {
    const signer = encodeAddress(address, SS58_PREFIX)
    return this.#pool.nextNonce(signer, this.#nonce(signer))
  }

  // An account's next nonce in the state of the head: the first field of its record.
  #nonce(signer) {
    const account = decodeAddress(signer)
    const key = u8aToHex(u8aConcat(hexToU8a(ACCOUNT), blake2AsU8a(account, 128), account))
    const stored = this.state.read(key, this.head.number)
    return stored ? new DataView(hexToU8a(stored).buffer).getUint32(0, true) : 0
  }

  // ---- blocks -------------------------------------------------------------------------------

  // Move the clock: the next block has this time, in milliseconds, and time goes on from there.
  travel(milliseconds) {
    this.#offset = Number(milliseconds) - Date.now()
  }

  // Build one block of what waits. Blocks are built one at a time.
  newBlock() {
    // between two blocks the server gets its turn
    const built = this.#building.then(() => new Promise(setImmediate)).then(() => this.#build())
    this.#building = built.catch(() => {})
    return built
  }

  async #build() {
    this.#wanted = false
    this.#lastBuilt = Date.now()
    const parent = this.head
    const inherent = await this.#inherent(parent)
    const overlay = new Overlay(this.state, parent.number)
    this.run(overlay, 'Core_initialize_block', this.#draft(parent))
    this.run(overlay, 'BlockBuilder_apply_extrinsic', inherent)
    const included = []
    for (const entry of this.#pool.take(BLOCK_CAPACITY)) {
      const answer = this.#apply(overlay, entry, included.length === 0)
      if (answer === 'full') break
      if (answer === 'included') included.push(entry)
    }
    const header = this.run(overlay, 'BlockBuilder_finalize_block', '0x')
    const extrinsics = [inherent, ...included.map(({ bytes }) => bytes)]
    const record = { number: parent.number + 1, hash: blake2AsHex(header, 256), header, extrinsics }
    return this.#import(record, overlay.changes, included)
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
      refusal = { code: 1010, message: 'Invalid Transaction', data: error.message }
    }
    overlay.rollback()
    if (refusal.invalid === EXHAUSTS && !first) return 'full'
    if (refusal.invalid === FUTURE && this.#pool.retry(hash)) return 'later'
    this.#pool.remove(hash)
    this.#log('dropped', { extrinsic: hash, reason: refusal.data })
    this.events.emit(hash, { dropped: refusal })
    return 'dropped'
  }

  async #import(record, changes, included) {
    this.#ledger.append({ ...record, changes: [...changes] })
    this.state.commit(record.number, changes)
    for (const { hash } of included) this.#pool.remove(hash)
    // what waits may wait for these
    this.#wanted ||= included.length > 0 && this.#pool.pendingExtrinsics.length > 0
    const block = this.#block(record)
    await this.setHead(block)
    for (const { hash } of included) this.events.emit(hash, { block: block.hash })
    return block
  }

  // The header that a block starts from: its roots are the runtime's to fill.
  #draft(parent) {
    return encodeHeader({
      parentHash: parent.hash,
      number: parent.number + 1,
      stateRoot: UNKNOWN_ROOT,
      extrinsicsRoot: UNKNOWN_ROOT,
    })
  }

  async #inherent(parent) {
    const meta = await parent.meta
    const stored = this.state.read(NOW, parent.number)
    const last = stored ? Number(hexToU8a(stored).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)) : 0
    const earliest = last + Math.max(1, meta.consts.timestamp.minimumPeriod.toNumber())
    const now = Math.max(Date.now() + this.#offset, earliest)
    return new GenericExtrinsic(meta.registry, meta.tx.timestamp.set(now)).toHex()
  }

  // Build blocks until `close`. Throws a LedgerError when one cannot be kept.
  async produce() {
    while (!this.#stopped) {
      const rest = this.#lastBuilt + this.#blockTime - Date.now()
      if (!this.#wanted && rest > 0) {
        await this.#sleep(rest)
        continue
      }
      try {
        await this.newBlock()
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
