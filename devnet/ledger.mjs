// The blocks of the chain, each compressed: in memory, or with --data in a log that only grows, one line per block.
//
// blocks.jsonl: a line of JSON with the format and the genesis hash, the first block as JSON, and then a block a line as
// base64 of raw deflate, whose dictionary is the first block's line: what all blocks say alike costs nothing. A file of
// the first format has all blocks as JSON, and goes on in the second.
import {
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { LockError, takeLock } from './lock.mjs'
import { dropSnapshot, readSnapshot, writeSnapshot } from './snapshot.mjs'

const FORMATS = ['proofward/devnet/v1', 'proofward/devnet/v2']
// Blocks that stay ready to be read again.
const CACHED = 256
const CACHED_SIZE = 32 * 1024 * 1024 // characters
// What one block may be unpacked to.
const MOST_BLOCK = 256 * 1024 * 1024

export class LedgerError extends Error {}

function lock(directory) {
  try {
    return takeLock(join(directory, 'lock'))
  } catch (error) {
    if (!(error instanceof LockError)) throw error
    throw new LedgerError(`${directory} is in use by process ${error.message}: stop it, or choose another --data`)
  }
}

function sizeOf({ extrinsics, changes = [] }) {
  const values = changes.reduce((sum, [, value]) => sum + (value?.length ?? 0), 0)
  return extrinsics.reduce((sum, extrinsic) => sum + extrinsic.length, values)
}

// 32 bytes as the shortest string there is.
const short = (hash) => Buffer.from(hash.slice(2), 'hex').toString('latin1')
const long = (name) => `0x${Buffer.from(name, 'latin1').toString('hex')}`

export class Ledger {
  #genesis
  #hashes = [] // of every block, index = height
  #heights = new Map() // of every hash
  #lines = [] // index = height: a Buffer, or with a file [its position, its length]
  #cache = new Map() // height -> block
  #cached = 0 // sum of their sizes
  #dictionary
  #file
  #size = 0 // bytes of whole lines
  #directory
  #unlock = () => {}

  // Open the chain in `directory` (or only in memory), calling `onState` with a height and all entries of its state when
  // there is a snapshot, and then `onBlock` for every later block, in order.
  static async open(genesis, directory, onBlock, onState) {
    const ledger = new Ledger()
    ledger.#genesis = genesis
    ledger.#index(genesis.hash, undefined)
    if (!directory) return ledger
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    ledger.#unlock = lock(directory)
    try {
      await ledger.#load(join(directory, 'blocks.jsonl'), directory, onBlock, onState)
    } catch (error) {
      ledger.close()
      throw error
    }
    return ledger
  }

  async #load(path, directory, onBlock, onState) {
    const snapshot = onState && readSnapshot(directory, this.#genesis.hash)
    let kept = 0
    if (existsSync(path)) {
      const lines = createInterface({ input: createReadStream(path), crlfDelay: Infinity })
      for await (const line of lines) {
        const length = Buffer.byteLength(line)
        try {
          if (kept === 0) this.#check(JSON.parse(line), directory, path)
          else if (this.height < snapshot?.height) this.#skipped(line, kept, length, snapshot, onState)
          else onBlock(this.#loaded(line, kept, length))
        } catch (error) {
          if (error instanceof LedgerError) throw error
          break // the process was killed while it wrote this line
        }
        kept += length + 1
      }
      lines.close()
    }
    if (this.height < snapshot?.height) return this.#again(path, directory, onBlock)
    this.#file = openSync(path, 'a+', 0o600)
    this.#directory = directory
    this.#size = kept
    if (statSync(path).size > kept) ftruncateSync(this.#file, kept)
    if (kept === 0) this.#write(JSON.stringify({ format: FORMATS.at(-1), genesis: this.#genesis.hash }))
  }

  // A block that the snapshot stands for; the last of them must be the snapshot's.
  #skipped(line, at, length, { height, hashes, entries }, onState) {
    this.#dictionary ??= Buffer.from(line)
    const last = this.height + 1 === height
    if (last && this.#unpack(line).hash !== hashes[height]) throw new Error('the snapshot is of other blocks')
    this.#index(hashes[this.height + 1], [at, length])
    if (last) onState(height, entries)
  }

  // The snapshot does not belong to these blocks: read them all.
  #again(path, directory, onBlock) {
    dropSnapshot(directory)
    this.#hashes.length = 1
    this.#lines.length = 1
    this.#heights = new Map([[this.#hashes[0], 0]])
    this.#dictionary = undefined
    return this.#load(path, directory, onBlock)
  }

  // Write the state at `height` beside the blocks, so that the next start need not read those before. Without it, or
  // without a directory, nothing is lost.
  snapshot(height, entries) {
    if (this.#file === undefined) return
    const hashes = this.#hashes.slice(0, height + 1).map(long)
    writeSnapshot(this.#directory, { genesis: this.#genesis.hash, height, hashes, entries })
  }

  #check({ format, genesis }, directory, path) {
    if (!FORMATS.includes(format) || genesis !== this.#genesis.hash) {
      const other = `${directory} holds another chain (genesis ${genesis})`
      throw new LedgerError(`${other}: choose another --data, or delete it`)
    }
    if (format === FORMATS.at(-1)) return
    const file = openSync(path, 'r+') // so that nothing older takes what follows for half a line
    writeSync(file, JSON.stringify({ format: FORMATS.at(-1), genesis }), 0)
    closeSync(file)
  }

  #loaded(line, at, length) {
    const block = this.#unpack(line)
    this.#dictionary ??= Buffer.from(line)
    this.#index(block.hash, [at, length])
    return block
  }

  #index(hash, line) {
    const name = short(hash)
    this.#heights.set(name, this.#hashes.push(name) - 1)
    this.#lines.push(line)
  }

  // ---- one block ----------------------------------------------------------------------------

  #pack(block) {
    const text = JSON.stringify(block)
    if (this.#dictionary) return deflateRawSync(text, { dictionary: this.#dictionary }).toString('base64')
    this.#dictionary = Buffer.from(text)
    return text
  }

  #unpack(line) {
    if (line.startsWith('{')) return JSON.parse(line)
    const options = { dictionary: this.#dictionary, maxOutputLength: MOST_BLOCK }
    return JSON.parse(inflateRawSync(Buffer.from(line, 'base64'), options).toString())
  }

  #read(height) {
    const line = this.#lines[height]
    if (!Array.isArray(line)) return line.toString('latin1')
    const bytes = Buffer.alloc(line[1])
    readSync(this.#file, bytes, 0, line[1], line[0])
    return bytes.toString('latin1')
  }

  #write(text) {
    const line = Buffer.from(`${text}\n`)
    try {
      for (let at = 0; at < line.length; ) at += writeSync(this.#file, line, at)
    } catch (error) {
      ftruncateSync(this.#file, this.#size) // half a line would hide all that follow
      throw new LedgerError(
        `a block cannot be written to ${this.#directory} (${error.code}): make room and start again`,
      )
    }
    this.#size += line.length
    return [this.#size - line.length, line.length - 1]
  }

  #keep(height, block) {
    this.#cache.set(height, block)
    this.#cached += sizeOf(block)
    while (this.#cache.size > CACHED || (this.#cached > CACHED_SIZE && this.#cache.size > 1)) {
      const [[oldest, dropped]] = this.#cache
      this.#cache.delete(oldest)
      this.#cached -= sizeOf(dropped)
    }
    return block
  }

  // ---- all blocks ---------------------------------------------------------------------------

  // A block is { number, hash, header, extrinsics, changes }, the latter a list of keys and values.
  append(block) {
    const known = this.#dictionary
    const line = this.#pack(block)
    try {
      this.#index(block.hash, this.#file === undefined ? Buffer.from(line, 'latin1') : this.#write(line))
    } catch (error) {
      this.#dictionary = known // the first block is still to come
      throw error
    }
    this.#keep(block.number, block)
  }

  get height() {
    return this.#hashes.length - 1
  }

  hashAt(height) {
    return Object.hasOwn(this.#hashes, height) ? long(this.#hashes[height]) : undefined
  }

  byHeight(height) {
    if (height === 0) return this.#genesis
    if (!Object.hasOwn(this.#hashes, height)) return undefined
    return this.#cache.get(height) ?? this.#keep(height, this.#unpack(this.#read(height)))
  }

  byHash(hash) {
    return this.byHeight(this.#heights.get(short(hash)))
  }

  close() {
    if (this.#file !== undefined) {
      fsyncSync(this.#file)
      closeSync(this.#file)
      this.#file = undefined
    }
    this.#unlock()
    this.#unlock = () => {}
  }
}
