// The blocks of the chain, in memory and, with --data, in a log that only grows: one JSON line per block.
import { closeSync, createReadStream, existsSync, fsyncSync, ftruncateSync, mkdirSync } from 'node:fs'
import { openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export class LedgerError extends Error {}

// One process per directory: the lock holds its process id.
function lock(directory) {
  const path = join(directory, 'lock')
  for (let tries = 0; tries < 2; tries += 1) {
    try {
      const file = openSync(path, 'wx', 0o600)
      writeSync(file, String(process.pid))
      closeSync(file)
      return path
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    const owner = Number(readFileSync(path, 'utf8'))
    try {
      process.kill(owner, 0)
    } catch {
      rmSync(path, { force: true }) // its owner is gone
      continue
    }
    throw new LedgerError(`${directory} is in use by process ${owner}: stop it, or choose another --data`)
  }
  throw new LedgerError(`${directory} cannot be locked`)
}

export class Ledger {
  #blocks = [] // index = height
  #byHash = new Map()
  #file
  #size = 0 // bytes of whole lines
  #directory
  #lock

  // Open the chain in `directory` (or only in memory), calling `onBlock` for every block it holds, in order.
  static async open(genesis, directory, onBlock) {
    const ledger = new Ledger()
    ledger.#add(genesis)
    if (!directory) return ledger
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    ledger.#lock = lock(directory)
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
    if (this.#lock) rmSync(this.#lock, { force: true })
    this.#lock = undefined
  }
}
