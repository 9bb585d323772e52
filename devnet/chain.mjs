// Block production over chopsticks' executor. A block is built as soon as an extrinsic waits, and when a slot has
// passed without one, so that deadlines move; its time is the wall clock's.
import { EventEmitter } from 'node:events'
import { Api, Block, Blockchain, BuildBlockMode, runTask } from '@acala-network/chopsticks-core'
import { GenericExtrinsic } from '@polkadot/types'
import { hexToU8a, u8aConcat, u8aToHex } from '@polkadot/util'
import { blake2AsHex, blake2AsU8a, decodeAddress, encodeAddress, xxhashAsHex } from '@polkadot/util-crypto'
import { encodeHeader, genesisBlock, genesisProvider, UNKNOWN_ROOT } from './genesis.mjs'
import { Ledger } from './ledger.mjs'
import { EXHAUSTS, FUTURE, Pool, validityError } from './pool.mjs'
import { Overlay, VersionedState } from './state.mjs'

const SS58_PREFIX = 42
const CODE = '0x3a636f6465'
const storagePrefix = (pallet, item) => xxhashAsHex(pallet, 128) + xxhashAsHex(item, 128).slice(2)
const NOW = storagePrefix('Timestamp', 'Now')
const EVENTS = storagePrefix('System', 'Events')
const ACCOUNT = storagePrefix('System', 'Account')
const FINALISE = ['BlockBuilder_finalize_block', []]
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
  #nextIdle = 0
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

  // Run runtime calls one after the other over `overlay`, in one instance of the runtime. Gives the last one's result
  // and what they all changed.
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

  // Take an extrinsic, and answer when it is in a block, or is known to wait for the ones before it. Rejects with
  // a PoolError when it is invalid: building the block is the validation, which saves a second run of the runtime.
  async submitExtrinsic(bytes) {
    const hash = blake2AsHex(hexToU8a(bytes), 256)
    const tried = this.#pool.add({ hash, bytes, ...(await this.#signerOf(bytes)) })
    this.#wanted = true
    this.#wake()
    await tried
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
    const built = this.#building.then(() => this.#build())
    this.#building = built.catch(() => {})
    return built
  }

  async #build() {
    this.#wanted = false
    const started = Date.now()
    const parent = this.head
    const inherent = await this.#inherent(parent)
    const opening = [
      ['Core_initialize_block', [this.#draft(parent)]],
      ['BlockBuilder_apply_extrinsic', [inherent]],
    ]
    const waiting = this.#pool.ready(BLOCK_CAPACITY, (signer) => this.#nonce(signer))
    const { overlay, header, included } =
      (await this.#together(parent, opening, waiting)) ?? (await this.#oneByOne(parent, opening, waiting))
    const extrinsics = [inherent, ...included.map(({ bytes }) => bytes)]
    const record = { number: parent.number + 1, hash: blake2AsHex(header, 256), header, extrinsics }
    const block = await this.#import(record, overlay.changes, included)
    // an idle chain takes a quarter of one core at most, however slow the machine is
    this.#nextIdle = Math.max(started + this.#blockTime, Date.now() + 3 * (Date.now() - started))
    return block
  }

  // The whole block in one task: starting the interpreter is most of a task's cost. Only the last call's result comes
  // back, so the events tell whether every extrinsic was applied; undefined when one was not.
  async #together(parent, opening, waiting) {
    const overlay = new Overlay(this.state, parent.number)
    const apply = waiting.map(({ bytes }) => ['BlockBuilder_apply_extrinsic', [bytes]])
    let answer
    try {
      answer = await this.#task(overlay, [...opening, ...apply, FINALISE])
    } catch (error) {
      if (!(error instanceof RuntimeError) || waiting.length === 0) throw error
      return undefined
    }
    overlay.apply(answer.storageDiff)
    if (waiting.length > 0 && (await this.#applied(parent, overlay)) !== waiting.length + 1) return undefined
    return { overlay, header: answer.result, included: waiting }
  }

  // How many extrinsics the runtime counts as applied, whether they failed or not.
  async #applied(parent, overlay) {
    const events = (await parent.registry).createType('Vec<EventRecord>', hexToU8a(overlay.read(EVENTS)))
    const ends = ['system.ExtrinsicSuccess', 'system.ExtrinsicFailed']
    return events.filter(({ event }) => ends.includes(`${event.section}.${event.method}`)).length
  }

  async #oneByOne(parent, opening, waiting) {
    const overlay = new Overlay(this.state, parent.number)
    let ahead = opening
    const included = []
    for (const entry of waiting) {
      const answer = await this.#apply(overlay, ahead, entry)
      if (answer === 'full' && included.length > 0) break
      if (answer === 'included') {
        ahead = []
        included.push(entry)
      }
    }
    const { result: header } = await this.run(overlay, [...ahead, FINALISE])
    return { overlay, header, included }
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
    this.#pool.settle(hash, refusal)
    this.#log('dropped', { extrinsic: hash, reason: refusal.data })
    this.events.emit(hash, { dropped: refusal })
    return 'dropped'
  }

  async #import(record, changes, included) {
    this.#ledger.append({ ...record, changes: [...changes] })
    this.state.commit(record.number, changes)
    for (const { hash } of included) this.#pool.settle(hash)
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
      const rest = this.#nextIdle - Date.now()
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
