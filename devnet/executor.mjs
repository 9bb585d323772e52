// Runs a runtime's functions in Node's own WebAssembly engine, compiled once.
// tests/conformance/executor.test.mjs holds it against chopsticks' executor.
//
// Host functions after the Polkadot specification, appendix B ("Polkadot host API"); only those that polkadot-sdk 2609
// runtimes import. A pointer and a length travel as one 64-bit integer: the length in the high half.
import { secp256k1 } from '@noble/curves/secp256k1'
import { u8aToHex } from '@polkadot/util'
import { blake2AsU8a, ed25519Verify, keccakAsU8a, sha256AsU8a, xxhashAsU8a } from '@polkadot/util-crypto'
import { sr25519Verify, waitReady } from '@polkadot/wasm-crypto'
import { ZSTDDecoder } from 'zstddec'
import * as keys from './keys.mjs'
import { compact, concat, Reader, sized } from './scale.mjs'
import { CHILD_PREFIX } from './state.mjs'
import { orderedRoot } from './trie.mjs'

// sp_maybe_compressed_blob's mark in front of a compressed runtime, and the most it may grow to.
const COMPRESSED = [0x52, 0xbc, 0x53, 0x76, 0x46, 0xdb, 0x8e, 0x05]
const MOST_CODE = 32 * 1024 * 1024
const MAGIC = [0x00, 0x61, 0x73, 0x6d] // of a WebAssembly module
const PAGE = 65536
// Enough for a runtime's own data; the heap grows behind them.
const FIRST_PAGES = 256
const MOST_PAGES = 2048
// An instance that has grown beyond this is not used again.
const KEPT_BYTES = 64 * 1024 * 1024
// Signatures whose verification is remembered.
const MOST_SEEN = 4096
const MOST_SIGNED = 256 // bytes; of a longer payload an extrinsic signs the hash
const VERSION_SECTION = 'runtime_version'

export class RuntimeError extends Error {}

// The processor's time that this process has used, in milliseconds.
export function processorMs() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

function uncompressed(code) {
  if (!COMPRESSED.every((byte, at) => code[at] === byte)) return code
  const plain = zstd.decode(code.subarray(COMPRESSED.length), MOST_CODE)
  if (!MAGIC.every((byte, at) => plain[at] === byte)) throw new RuntimeError('the runtime cannot be unpacked')
  return plain
}

const zstd = new ZSTDDecoder()
await zstd.init()
await waitReady()

const modules = new Map() // code as hexadecimal -> WebAssembly.Module

function moduleOf(code) {
  let module = modules.get(code)
  if (!module) {
    module = new WebAssembly.Module(uncompressed(Buffer.from(code.slice(2), 'hex')))
    modules.set(code, module)
    if (modules.size > 4) modules.delete(modules.keys().next().value)
  }
  return module
}

// The memory of one instance and the allocator in it: blocks of powers of two, freed ones kept for their size.
class Heap {
  #free = new Map()
  #next = 0

  constructor(memory) {
    this.memory = memory
  }

  // Make the memory as it was before anything was allocated: `data` in front, zeros behind.
  reset(data) {
    this.view(0, data.length).set(data)
    if (this.#next > data.length) this.view(data.length, this.#next - data.length).fill(0)
    this.#free.clear()
    this.#next = (data.length + 7) & ~7
  }

  allocate(size) {
    const order = Math.max(3, 32 - Math.clz32(Math.max(size, 1) - 1))
    const freed = this.#free.get(order)
    if (freed?.length) return freed.pop()
    const at = this.#next + 8 // eight bytes in front hold the block's order
    const end = at + 2 ** order
    const missing = Math.ceil((end - this.memory.buffer.byteLength) / PAGE)
    if (missing > 0) this.memory.grow(missing)
    this.#next = end
    new DataView(this.memory.buffer).setUint32(at - 8, order, true)
    return at
  }

  free(at) {
    const order = new DataView(this.memory.buffer).getUint32(at - 8, true)
    if (order < 3 || order > 31) throw new RuntimeError('the runtime freed what it never allocated')
    if (!this.#free.has(order)) this.#free.set(order, [])
    this.#free.get(order).push(at)
  }

  view(at, length) {
    return new Uint8Array(this.memory.buffer, at >>> 0, length)
  }

  copy(at, length) {
    return this.view(at, length).slice()
  }

  span(packed) {
    return this.copy(Number(packed & 0xffffffffn), Number((packed >> 32n) & 0xffffffffn))
  }

  put(bytes) {
    const at = this.allocate(bytes.length)
    this.view(at, bytes.length).set(bytes)
    return at
  }

  putSpan(bytes) {
    return (BigInt(bytes.length) << 32n) | BigInt(this.put(bytes))
  }
}

const some = (bytes) => concat(Uint8Array.of(1), sized(bytes))
const NONE = Uint8Array.of(0)

const u32 = (value) => Uint8Array.of(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24)

const readByteVectors = (bytes) => new Reader(bytes).list((reader) => reader.sized())

// `item` behind the elements of the SCALE vector in `stored`.
function appended(stored, item) {
  if (!stored) return concat(compact(1), item)
  const reader = new Reader(stored)
  return concat(compact(reader.compact() + 1), reader.rest, item)
}

function optionalLimit(bytes) {
  return bytes[0] === 1 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(1, true) : Infinity
}

// sp_io's KillStorageResult.
const killed = ({ removed, all }) => concat(Uint8Array.of(all ? 0 : 1), u32(removed))

const childPrefix = (id) => CHILD_PREFIX + u8aToHex(id).slice(2)

// Result<key, EcdsaVerifyError>, as SCALE.
function recoverKey(signature, message, compressed) {
  const failed = (code) => Uint8Array.of(1, code)
  const recovery = signature[64] > 26 ? signature[64] - 27 : signature[64]
  if (recovery > 3) return failed(1)
  let parsed
  try {
    parsed = secp256k1.Signature.fromCompact(signature.subarray(0, 64)).addRecoveryBit(recovery)
  } catch {
    return failed(0)
  }
  try {
    const key = parsed.recoverPublicKey(message).toRawBytes(compressed)
    return concat(Uint8Array.of(0), compressed ? key : key.subarray(1))
  } catch {
    return failed(2)
  }
}

function verified(check) {
  try {
    return check() ? 1 : 0
  } catch {
    return 0 // a key or signature that is none
  }
}

const seen = new Map() // signature, key and message -> 1 or 0

// An sr25519 signature: an extrinsic's is looked at when it is submitted, and again in its block. Not util-crypto's
// own function, which takes seven times as long.
function verifiedOnce(signature, key, message) {
  const name = Buffer.concat([signature, key, message]).toString('latin1')
  let answer = seen.get(name)
  if (answer === undefined) {
    answer = verified(() => sr25519Verify(signature, message, key))
    if (message.length <= MOST_SIGNED) seen.set(name, answer)
    if (seen.size > MOST_SEEN) seen.delete(seen.keys().next().value)
  }
  return answer
}

// `session` has the storage, the log and its level of the call under way, and when it has to end.
function hostFunctions(heap, session) {
  const log = (line) => session.log(line)
  const stored = (key) => {
    const value = session.storage.read(key)
    return value === null ? undefined : Buffer.from(value.slice(2), 'hex')
  }
  const main = (key) => u8aToHex(heap.span(key))
  const child = (id, key) => childPrefix(heap.span(id)) + u8aToHex(heap.span(key)).slice(2)
  const optional = (value) => heap.putSpan(value ? some(value) : NONE)
  // Copy a value from `offset` on to where the runtime has room for it; answers how much there was.
  const readInto = (key, out, offset) => {
    const value = stored(key)
    if (!value) return heap.putSpan(NONE)
    const rest = value.subarray(Math.min(offset >>> 0, value.length))
    const part = rest.subarray(0, Number((out >> 32n) & 0xffffffffn))
    heap.view(Number(out & 0xffffffffn), part.length).set(part)
    return heap.putSpan(concat(Uint8Array.of(1), u32(rest.length)))
  }
  const generate = (scheme) => (type, seed) => heap.put(keys.generate(scheme, heap.copy(type, 4), heap.span(seed)))
  const sign = (scheme) => (type, key, message) => {
    const signature = keys.sign(scheme, heap.copy(type, 4), heap.copy(key, 32), heap.span(message))
    return heap.putSpan(signature ? concat(Uint8Array.of(1), signature) : NONE)
  }
  const hashing = (digest) => (data) => heap.put(digest(heap.span(data)))
  const twox = (bits) => hashing((data) => xxhashAsU8a(data, bits))
  return {
    ext_allocator_malloc_version_1: (size) => {
      if (performance.now() > session.until && processorMs() > session.cpuUntil)
        throw new RuntimeError(`it took more than ${session.most} ms of the processor's time`)
      return heap.allocate(size >>> 0)
    },
    ext_allocator_free_version_1: (at) => heap.free(at >>> 0),

    ext_hashing_blake2_128_version_1: hashing((data) => blake2AsU8a(data, 128)),
    ext_hashing_blake2_256_version_1: hashing((data) => blake2AsU8a(data, 256)),
    ext_hashing_keccak_256_version_1: hashing((data) => keccakAsU8a(data)),
    ext_hashing_sha2_256_version_1: hashing((data) => sha256AsU8a(data)),
    ext_hashing_twox_64_version_1: twox(64),
    ext_hashing_twox_128_version_1: twox(128),

    ext_crypto_ed25519_generate_version_1: generate('ed25519'),
    ext_crypto_ed25519_sign_version_1: sign('ed25519'),
    ext_crypto_sr25519_generate_version_1: generate('sr25519'),
    ext_crypto_sr25519_sign_version_1: sign('sr25519'),
    ext_crypto_ed25519_verify_version_1: (signature, message, key) =>
      verified(() => ed25519Verify(heap.span(message), heap.copy(signature, 64), heap.copy(key, 32))),
    ext_crypto_sr25519_verify_version_2: (signature, message, key) =>
      verifiedOnce(heap.copy(signature, 64), heap.copy(key, 32), heap.span(message)),
    ext_crypto_secp256k1_ecdsa_recover_version_2: (signature, message) =>
      heap.putSpan(recoverKey(heap.copy(signature, 65), heap.copy(message, 32), false)),
    ext_crypto_secp256k1_ecdsa_recover_compressed_version_2: (signature, message) =>
      heap.putSpan(recoverKey(heap.copy(signature, 65), heap.copy(message, 32), true)),

    ext_storage_get_version_1: (key) => optional(stored(main(key))),
    ext_storage_read_version_1: (key, out, offset) => readInto(main(key), out, offset),
    ext_storage_set_version_1: (key, value) => session.storage.write(main(key), u8aToHex(heap.span(value))),
    ext_storage_clear_version_1: (key) => session.storage.write(main(key), null),
    ext_storage_exists_version_1: (key) => (session.storage.read(main(key)) === null ? 0 : 1),
    ext_storage_append_version_1: (key, value) => {
      const name = main(key)
      session.storage.write(name, u8aToHex(appended(stored(name), heap.span(value))))
    },
    ext_storage_clear_prefix_version_2: (prefix, limit) =>
      heap.putSpan(killed(session.storage.clear(main(prefix), optionalLimit(heap.span(limit))))),
    ext_storage_next_key_version_1: (key) => {
      const next = session.storage.next(main(key))
      return optional(next && Buffer.from(next.slice(2), 'hex'))
    },
    // no state root is computed: nobody proves anything about the state of a development chain
    ext_storage_root_version_2: () => heap.putSpan(new Uint8Array(32)),
    ext_storage_start_transaction_version_1: () => void session.storage.start(),
    ext_storage_commit_transaction_version_1: () => session.storage.commit(),
    ext_storage_rollback_transaction_version_1: () => session.storage.rollback(),

    ext_default_child_storage_get_version_1: (id, key) => optional(stored(child(id, key))),
    ext_default_child_storage_set_version_1: (id, key, value) =>
      session.storage.write(child(id, key), u8aToHex(heap.span(value))),
    ext_default_child_storage_clear_version_1: (id, key) => session.storage.write(child(id, key), null),
    ext_default_child_storage_read_version_1: (id, key, out, offset) => readInto(child(id, key), out, offset),
    ext_default_child_storage_storage_kill_version_3: (id, limit) =>
      heap.putSpan(killed(session.storage.clear(childPrefix(heap.span(id)), optionalLimit(heap.span(limit))))),

    ext_trie_blake2_256_ordered_root_version_2: (values, version) =>
      heap.put(orderedRoot(readByteVectors(heap.span(values)), version)),

    // there are no others here to report: nothing is submitted
    ext_offchain_submit_transaction_version_1: () => heap.putSpan(Uint8Array.of(1)),

    ext_misc_runtime_version_version_1: (code) => {
      try {
        const [section] = WebAssembly.Module.customSections(
          new WebAssembly.Module(uncompressed(heap.span(code))),
          VERSION_SECTION,
        )
        return optional(section && new Uint8Array(section))
      } catch {
        return heap.putSpan(NONE)
      }
    },
    ext_misc_print_utf8_version_1: (data) => log(Buffer.from(heap.span(data)).toString()),
    ext_misc_print_hex_version_1: (data) => log(u8aToHex(heap.span(data))),
    ext_logging_max_level_version_1: () => session.level,
    ext_logging_log_version_1: (_level, target, message) =>
      log(`${Buffer.from(heap.span(target))}: ${Buffer.from(heap.span(message))}`),
  }
}

// A runtime in its memory, which every call finds as new. Making a new one costs more than most calls.
class Instance {
  #session = {}
  #heap
  #exports
  #data

  constructor(module) {
    const memory = new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: MOST_PAGES })
    this.#heap = new Heap(memory)
    const host = hostFunctions(this.#heap, this.#session)
    for (const { name, kind } of WebAssembly.Module.imports(module)) {
      if (kind === 'function' && !Object.hasOwn(host, name)) throw new RuntimeError(`the runtime imports ${name}`)
    }
    this.#exports = new WebAssembly.Instance(module, { env: { ...host, memory } }).exports
    this.#data = this.#heap.copy(0, this.#exports.__heap_base.value)
  }

  get small() {
    return this.#heap.memory.buffer.byteLength <= KEPT_BYTES
  }

  call(name, input, session) {
    const run = this.#exports[name]
    if (typeof run !== 'function') throw new RuntimeError(`the runtime has no function ${name}`)
    Object.assign(this.#session, session)
    this.#heap.reset(this.#data)
    return this.#heap.span(run(this.#heap.put(input), input.length))
  }
}

const idle = new WeakMap() // WebAssembly.Module -> Instance that no call uses

// Run one function of a runtime over `storage` (an Overlay). `code` and `input` are hexadecimal, and so is the result.
// Throws a RuntimeError when the runtime traps, or allocates after `most` milliseconds of the processor's time; then
// nothing in the storage has changed.
export function execute(code, name, input, storage, { log = () => {}, level = 0, most = Infinity } = {}) {
  let last
  const session = { storage, level, log: (line) => log((last = line)), most, ...deadline(most) }
  const depth = storage.start()
  try {
    const module = moduleOf(code)
    const instance = idle.get(module) ?? new Instance(module)
    idle.delete(module) // one that traps is in no state to be used again
    const result = u8aToHex(instance.call(name, Buffer.from(input.slice(2), 'hex'), session))
    storage.commit(depth)
    if (instance.small) idle.set(module, instance)
    return result
  } catch (error) {
    storage.rollback(depth)
    if (error instanceof RuntimeError) throw error
    throw new RuntimeError(`${name} trapped: ${last ?? error.message}`)
  }
}

const deadline = (most) => ({ until: performance.now() + most, cpuUntil: processorMs() + most })

// A runtime's version, in the shape of state_getRuntimeVersion.
export function runtimeVersion(code) {
  let version = versions.get(code)
  if (!version) {
    const storage = { start() {}, commit() {}, rollback() {} }
    version = readVersion(Buffer.from(execute(code, 'Core_version', '0x', storage).slice(2), 'hex'))
    versions.set(code, version)
  }
  return version
}

const versions = new Map()

// sp_version::RuntimeVersion.
function readVersion(bytes) {
  const reader = new Reader(bytes)
  const version = {
    specName: reader.text(),
    implName: reader.text(),
    authoringVersion: reader.u32(),
    specVersion: reader.u32(),
    implVersion: reader.u32(),
    apis: reader.list(() => [u8aToHex(reader.take(8)), reader.u32()]),
    transactionVersion: reader.u32(),
  }
  const system = reader.u8()
  return { ...version, stateVersion: system, systemVersion: system }
}
