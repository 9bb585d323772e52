import assert from 'node:assert/strict'
import test from 'node:test'
import { u8aToHex } from '@polkadot/util'
import { blake2AsU8a } from '@polkadot/util-crypto'
import { concat } from './scale.mjs'
import { merkleValue, trieRoot } from './trie.mjs'

// Entries under three first nibbles; values long enough that every node is stored by its hash.
const pairs = [0x10, 0x11, 0x17, 0x42, 0x90, 0x9f].map((first) => [
  Uint8Array.of(first, 7),
  new Uint8Array(40).fill(first),
])
const under = (nibble) => pairs.filter(([key]) => key[0] >> 4 === nibble)
const neighbours = (nibble) => {
  const at = pairs.indexOf(under(nibble)[0])
  return [pairs[at - 1], pairs[at + under(nibble).length]].filter(Boolean).map(([key]) => key)
}

test('the Merkle values of the branches below the root give the root', () => {
  const children = [1, 4, 9].map((nibble) => merkleValue(under(nibble), neighbours(nibble), 1))
  const links = children.map((value) => concat(Uint8Array.of(32 << 2), Buffer.from(value.slice(2), 'hex')))
  const bitmap = (1 << 1) | (1 << 4) | (1 << 9)
  const root = concat(Uint8Array.of(0x80, bitmap & 255, bitmap >> 8), ...links) // a branch without key or value
  assert.equal(u8aToHex(blake2AsU8a(root, 256)), u8aToHex(trieRoot(pairs, 1)))
})

test('the Merkle value of everything is the root', () => {
  assert.equal(merkleValue(pairs, [], 1), u8aToHex(trieRoot(pairs, 1)))
})
