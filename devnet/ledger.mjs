// The blocks of the chain, in memory and, with --data, in a log that only grows: one JSON line per block.
import { closeSync, createReadStream, existsSync, fsyncSync, ftruncateSync, mkdirSync } from 'node:fs'
import { openSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { LockError, takeLock } from './lock.mjs'

export class LedgerError extends Error {}

function lock(directory) {
  try {
    return takeLock(join(directory, 'lock'))
  } catch (error) {
    if (!(error instanceof LockError)) throw error
    throw new LedgerError(`${directory} is in use by process ${error.message}: stop it, or choose another --data`)
  }
}

export class Ledger {
  #blocks = [] // index = height
  #byHash = new Map()
  #file
  #size = 0 // bytes of whole lines
  #directory
  #unlock = () => {}

  // Open the chain in `directory` (or only in memory), calling `onBlock` for every block it holds, in order.
  static async open(genesis, directory, onBlock) {
    const ledger = new Ledger()
    ledger.#add(genesis)
    if (!directory) return ledger
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    ledger.#unlock = lock(directory)
    try {
      await ledger.#load(join(directory, 'blocks.jsonl'), directory, onBlock)
    } catch (error) {
      ledger.close()
      throw error
    }
    return ledger
  }

  async #load(path, directory, onBlock) {
    let kept = 0
    if (existsSync(path)) {
      const lines = createInterface({ input: createReadStream(path), crlfDelay: Infinity })
      for await (const line of lines) {
        let entry
        try {
          entry = JSON.parse(line)
        } catch {
          break // the process was killed while it wrote this line
        }
        if (kept === 0) this.#check(entry, directory)
        else {
          this.#add(entry)
          onBlock(entry)
        }
        kept += Buffer.byteLength(line) + 1
      }
      lines.close()
    }
    this.#file = openSync(path, 'a', 0o600)
    this.#directory = directory
    this.#size = kept
    if (statSync(path).size > kept) ftruncateSync(this.#file, kept)
    if (kept === 0) this.#write({ format: 'proofward/devnet/v1', genesis: this.#blocks[0].hash })
  }

  #check(header, directory) {
    if (header.format === 'proofward/devnet/v1' && header.genesis === this.#blocks[0].hash) return
    const other = `${directory} holds another chain (genesis ${header.genesis})`
    throw new LedgerError(`${other}: choose another --data, or delete it`)
  }

  // The changes are the state's to keep.
  #add({ number, hash, header, extrinsics }) {
    const block = { number, hash, header, extrinsics }
    this.#blocks.push(block)
    this.#byHash.set(hash, block)
  }

  #write(entry) {
    if (this.#file === undefined) return
    const line = Buffer.from(`${JSON.stringify(entry)}\n`)
    try {
      for (let at = 0; at < line.length; ) at += writeSync(this.#file, line, at)
    } catch (error) {
      ftruncateSync(this.#file, this.#size) // half a line would hide all that follow
      throw new LedgerError(`a block cannot be written to ${this.#directory} (${error.code}): make room and start again`)
    }
    this.#size += line.length
  }

  append(block) {
    this.#write(block)
    this.#add(block)
  }

  get height() {
    return this.#blocks.length - 1
  }

  byHeight(height) {
    return this.#blocks[height]
  }

  byHash(hash) {
    return this.#byHash.get(hash)
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
