// The chain's state at one block, and the hashes up to it, in a file beside the ledger: a start reads the blocks behind
// it only. It may be missing or broken: then all blocks are read.
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateRawSync, inflateRawSync } from 'node:zlib'

const FORMAT = 'proofward/devnet/snapshot/v1'
const NAME = 'state.snapshot'
// What one may be unpacked to.
const MOST_BYTES = 2 ** 31 - 1

// { genesis, height, hashes: [hash], entries: [[key, value]] }; `hashes` from the genesis to `height`.
export function writeSnapshot(directory, { hashes, ...rest }) {
  const joined = Buffer.concat(hashes.map((hash) => Buffer.from(hash.slice(2), 'hex'))).toString('base64')
  const bytes = deflateRawSync(JSON.stringify({ format: FORMAT, hashes: joined, ...rest }), { level: 1 })
  const path = join(directory, NAME)
  const file = openSync(`${path}.new`, 'w', 0o600)
  try {
    writeFileSync(file, bytes)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(`${path}.new`, path)
}

// The snapshot of a directory; nothing when there is none of this chain that can be read.
export function readSnapshot(directory, genesis) {
  let snapshot
  try {
    const bytes = inflateRawSync(readFileSync(join(directory, NAME)), { maxOutputLength: MOST_BYTES })
    snapshot = JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
  if (snapshot.format !== FORMAT || snapshot.genesis !== genesis) return undefined
  const joined = Buffer.from(snapshot.hashes, 'base64')
  const hashes = Array.from(
    { length: joined.length / 32 },
    (_, at) => `0x${joined.toString('hex', 32 * at, 32 * (at + 1))}`,
  )
  return hashes.length === snapshot.height + 1 ? { ...snapshot, hashes } : undefined
}

export const dropSnapshot = (directory) => rmSync(join(directory, NAME), { force: true })
