// The hash functions of the protocol, under one name each.
import { blake2b } from '@noble/hashes/blake2.js'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { keccak_256 } from '@noble/hashes/sha3.js'

export { keccak_256 as keccak256, sha256, sha512 }

export const blake2 = (data: Uint8Array, length = 32): Uint8Array => blake2b(data, { dkLen: length })
