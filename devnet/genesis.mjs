// The genesis block of a raw chain spec, with the hash that any Substrate node gives it.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hexToU8a, u8aToHex } from '@polkadot/util'
import { blake2AsHex } from '@polkadot/util-crypto'
import { encodeHeader } from './scale.mjs'
import { trieRoot } from './trie.mjs'

const ZERO = `0x${'00'.repeat(32)}`
// The root of an empty trie: BLAKE2b-256 of one zero byte.
const EMPTY_ROOT = '0x03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314'

export const UNKNOWN_ROOT = ZERO
// The runtime's `system_version` is 1: long values are in the trie by their hash.
const STATE_VERSION = 1

// The key of the field that sets an ephemeral chain's genesis apart: ":proofward:ephemeral".
const OWN = u8aToHex(Buffer.from(':proofward:ephemeral'))

export class SpecError extends Error {}

export function readSpec(path) {
  let spec
  try {
    spec = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new SpecError(`the chain spec ${path} cannot be read: ${error.message}`)
  }
  const top = spec?.genesis?.raw?.top
  if (!top?.['0x3a636f6465']) throw new SpecError(`${path} is no raw chain spec with a runtime in it`)
  if (Object.keys(spec.genesis.raw.childrenDefault ?? {}).length > 0) {
    throw new SpecError(`${path} has child tries in its genesis, which the embedded chain cannot hold`)
  }
  return spec
}

// The same chain with a genesis of its own: what was done on the one is not taken for done on the other. Nothing reads
// the field.
export function distinct(spec) {
  const { genesis } = spec
  const top = { ...genesis.raw.top, [OWN]: u8aToHex(randomBytes(16)) }
  return { ...spec, genesis: { ...genesis, raw: { ...genesis.raw, top } } }
}

export function genesisBlock(spec) {
  const entries = Object.entries(spec.genesis.raw.top)
  const stateRoot = u8aToHex(
    trieRoot(
      entries.map((pair) => pair.map((hex) => hexToU8a(hex))),
      STATE_VERSION,
    ),
  )
  const header = encodeHeader({ parentHash: ZERO, number: 0, stateRoot, extrinsicsRoot: EMPTY_ROOT })
  return { number: 0, hash: blake2AsHex(header, 256), header, extrinsics: [], changes: entries }
}
