// Block production over chopsticks' executor. A block is built as soon as an extrinsic waits, and when a slot has passed
// without one, so that deadlines move; its time is the wall clock's.
import { EventEmitter } from 'node:events'
import { Api, Block, Blockchain, BuildBlockMode, runTask } from '@acala-network/chopsticks-core'
import { GenericExtrinsic } from '@polkadot/types'
import { hexToU8a, u8aToHex } from '@polkadot/util'
import { blake2AsHex, xxhashAsHex } from '@polkadot/util-crypto'
import { encodeHeader, genesisBlock, genesisProvider, UNKNOWN_ROOT } from './genesis.mjs'
import { Ledger } from './ledger.mjs'
import { EXHAUSTS, FUTURE, Pool, PoolError, validityError } from './pool.mjs'
import { Overlay, VersionedState } from './state.mjs'

const CODE = '0x3a636f6465'
const NOW = xxhashAsHex('Timestamp', 128) + xxhashAsHex('Now', 128).slice(2)
// Extrinsics that one block takes: more wait for the next.
const BLOCK_CAPACITY = 64
// Blocks kept as objects; older ones are made again from the ledger when asked for.
const RECENT = 256

export class RuntimeError extends Error {}

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
    const overlay = new Overlay(this.#chain.state, this.number)
    return this.#chain.run(overlay, [[method, args]])
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
    const genesis = await genesisBlock(spec)
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

  // Run runtime calls one after the other over `overlay`, in one instance of the runtime. Gives the last one's result and
  // what they all changed.
  async #task(overlay, calls) {
    const task = {
      wasm: overlay.read(CODE),
      calls,
      mockSignatureHost: false,
      allowUnresolvedImports: false,
      runtimeLogLevel: this.runtimeLogLevel,
    }
    const answer = await runTask(task, overlay.handler())
    if (!answer.Call) throw new RuntimeError(answer.Error ?? 'the executor gave no answer')
    for (const line of answer.Call.runtimeLogs ?? []) this.#log('runtime', { line })
    return answer.Call
  }

  // The same, and keep the changes in `overlay`.
  async run(overlay, calls) {
    const answer = await this.#task(overlay, calls)
    overlay.apply(answer.storageDiff)
    return answer
  }

  // ---- extrinsics ---------------------------------------------------------------------------

  async submitExtrinsic(bytes) {
    const args = `0x02${bytes.slice(2)}${this.head.hash.slice(2)}` // 2 = TransactionSource::External
    const validity = hexToU8a((await this.head.call('TaggedTransactionQueue_validate_transaction', [args])).result)
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
      const extrinsic = registry.createType('GenericExtrinsic', bytes)
      return extrinsic.isSigned ? { signer: extrinsic.signer.toString(), nonce: extrinsic.nonce.toNumber() } : {}
    } catch {
      return {} // a format that polkadot.js cannot read
    }
  }

  // ---- blocks -------------------------------------------------------------------------------

  // Move the clock: the next block has this time, in milliseconds, and time goes on from there.
  travel(milliseconds) {
    this.#offset = Number(milliseconds) - Date.now()
  }

  // Build one block of what waits. Blocks are built one at a time.
  newBlock() {
    const built = this.#building.then(() => this.#build())
    this.#building = built.catch(() => {})
    return built
  }

  async #build() {
    this.#wanted = false
    this.#lastBuilt = Date.now()
    const parent = this.head
    const inherent = await this.#inherent(parent)
    const overlay = new Overlay(this.state, parent.number)
    // calls of one task share one instance of the runtime, which is half the cost of a call: so these wait for the next
    let ahead = [
      ['Core_initialize_block', [this.#draft(parent)]],
      ['BlockBuilder_apply_extrinsic', [inherent]],
    ]
    const included = []
    for (const entry of this.#pool.take(BLOCK_CAPACITY)) {
      const answer = await this.#apply(overlay, ahead, entry)
      if (answer === 'full' && included.length > 0) break
      if (answer === 'included') {
        ahead = []
        included.push(entry)
      }
    }
    const { result: header } = await this.run(overlay, [...ahead, ['BlockBuilder_finalize_block', []]])
    const extrinsics = [inherent, ...included.map(({ bytes }) => bytes)]
    const record = { number: parent.number + 1, hash: blake2AsHex(header, 256), header, extrinsics }
    return this.#import(record, overlay.changes, included)
  }

  // Try one extrinsic on top of the block so far; only a success leaves anything behind.
  async #apply(overlay, ahead, { hash, bytes }) {
    let refusal
    try {
      const answer = await this.#task(overlay, [...ahead, ['BlockBuilder_apply_extrinsic', [bytes]]])
      const result = hexToU8a(answer.result) // ApplyExtrinsicResult
      if (result[0] === 0) {
        overlay.apply(answer.storageDiff)
        return 'included'
      }
      refusal = validityError(result, 1)
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error
      refusal = { code: 1010, message: 'Invalid Transaction', data: error.message }
    }
    if (refusal.invalid === EXHAUSTS && ahead.length === 0) return 'full'
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

  // Build blocks until `close`.
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
