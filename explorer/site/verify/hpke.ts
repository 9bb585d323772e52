// HPKE, base mode, single shot, open (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305.
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { x25519 } from '@noble/curves/ed25519.js'
import { expand, extract } from '@noble/hashes/hkdf.js'
import { concat, utf8 } from './bytes.js'
import { sha256 } from './hashes.js'

const KEM = concat(utf8('KEM'), Uint8Array.of(0, 0x20))
const SUITE = concat(utf8('HPKE'), Uint8Array.of(0, 0x20, 0, 1, 0, 3))
const NONE = new Uint8Array(0)

const labelledExtract = (suite: Uint8Array, salt: Uint8Array, label: string, input: Uint8Array): Uint8Array =>
  extract(sha256, concat(utf8('HPKE-v1'), suite, utf8(label), input), salt)

const labelledExpand = (
  suite: Uint8Array,
  key: Uint8Array,
  label: string,
  info: Uint8Array,
  length: number,
): Uint8Array =>
  expand(
    sha256,
    key,
    concat(Uint8Array.of(length >> 8, length & 255), utf8('HPKE-v1'), suite, utf8(label), info),
    length,
  )

/** Open `enc || ciphertext` with a secret of 32 bytes. Throws when it does not authenticate. */
export function open(sealed: Uint8Array, secret: Uint8Array, info: Uint8Array): Uint8Array {
  if (sealed.length < 48) throw new Error('it is too short to be sealed')
  const encapsulated = sealed.subarray(0, 32)
  const shared = x25519.getSharedSecret(secret, encapsulated)
  const eae = labelledExtract(KEM, NONE, 'eae_prk', shared)
  const secretOf = labelledExpand(KEM, eae, 'shared_secret', concat(encapsulated, x25519.getPublicKey(secret)), 32)
  const context = concat(
    Uint8Array.of(0),
    labelledExtract(SUITE, NONE, 'psk_id_hash', NONE),
    labelledExtract(SUITE, NONE, 'info_hash', info),
  )
  const prk = labelledExtract(SUITE, secretOf, 'secret', NONE)
  const key = labelledExpand(SUITE, prk, 'key', context, 32)
  const nonce = labelledExpand(SUITE, prk, 'base_nonce', context, 12)
  return chacha20poly1305(key, nonce).decrypt(sealed.subarray(32))
}
