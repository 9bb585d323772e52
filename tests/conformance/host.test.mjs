// Host functions that only a runtime with consensus imports, called by a runtime of a few lines.
import assert from 'node:assert/strict'
import test from 'node:test'
import { u8aToHex } from '@polkadot/util'
import {
  cryptoWaitReady,
  ed25519PairFromSeed,
  ed25519Verify,
  sr25519PairFromSeed,
  sr25519Verify,
} from '@polkadot/util-crypto'
import wabt from 'wabt'
import { execute } from '../../devnet/executor.mjs'
import { Overlay, VersionedState } from '../../devnet/state.mjs'

const functions = (scheme) => `
  (import "env" "ext_crypto_${scheme}_generate_version_1" (func $${scheme}_generate (param i32 i64) (result i32)))
  (import "env" "ext_crypto_${scheme}_sign_version_1" (func $${scheme}_sign (param i32 i32 i64) (result i64)))`
// What a function gets is a pointer and a length: a key type, and a seed; or a key type, a key and a message.
const exported = (scheme) => `
  (func (export "${scheme}_generate") (param $at i32) (param $length i32) (result i64)
    (call $span (call $${scheme}_generate (local.get $at) (call $behind (local.get $at) (local.get $length) (i32.const 4)))
                (i32.const 32)))
  (func (export "${scheme}_sign") (param $at i32) (param $length i32) (result i64)
    (call $${scheme}_sign (local.get $at) (i32.add (local.get $at) (i32.const 4))
                          (call $behind (local.get $at) (local.get $length) (i32.const 36))))`

const TEXT = `(module
  (import "env" "memory" (memory 1))
  (import "env" "ext_storage_read_version_1" (func $read (param i64 i64 i32) (result i64)))
  ${functions('sr25519')} ${functions('ed25519')}
  (global (export "__heap_base") i32 (i32.const 1024))
  (func $span (param $at i32) (param $length i32) (result i64)
    (i64.or (i64.extend_i32_u (local.get $at)) (i64.shl (i64.extend_i32_u (local.get $length)) (i64.const 32))))
  (func $behind (param $at i32) (param $length i32) (param $skip i32) (result i64)
    (call $span (i32.add (local.get $at) (local.get $skip)) (i32.sub (local.get $length) (local.get $skip))))
  ${exported('sr25519')} ${exported('ed25519')}
  (func (export "read_answer") (param $at i32) (param $length i32) (result i64)
    (call $read (call $span (local.get $at) (local.get $length)) (call $span (i32.const 512) (i32.const 4)) (i32.const 2)))
  (func (export "read_bytes") (param $at i32) (param $length i32) (result i64)
    (drop (call $read (call $span (local.get $at) (local.get $length)) (call $span (i32.const 512) (i32.const 4)) (i32.const 2)))
    (call $span (i32.const 508) (i32.const 12))))`

await cryptoWaitReady()
const { parseWat } = await wabt()
const code = u8aToHex(parseWat('host.wat', TEXT).toBinary({}).buffer)
const state = new VersionedState()
state.commit(0, [
  ['0xaa', '0x0102030405060708'],
  ['0xbb', '0x01'],
])
const call = (name, ...parts) => execute(code, name, `0x${Buffer.concat(parts).toString('hex')}`, new Overlay(state, 0))
const bytes = (hex) => Buffer.from(hex.slice(2), 'hex')

const TYPE = Buffer.from('test')
const SEED = Buffer.alloc(32, 7)
const text = Buffer.from(u8aToHex(SEED))
const some = Buffer.concat([Buffer.of(1, (text.length << 2) | 1, text.length >> 6), text])
const MESSAGE = Buffer.from('a slot')

for (const [scheme, pairOf, verify] of [
  ['sr25519', sr25519PairFromSeed, sr25519Verify],
  ['ed25519', ed25519PairFromSeed, ed25519Verify],
]) {
  test(`${scheme} keys that a runtime makes sign for it`, () => {
    const key = bytes(call(`${scheme}_generate`, TYPE, some))
    assert.deepEqual(new Uint8Array(key), pairOf(SEED).publicKey)
    for (const one of [key, bytes(call(`${scheme}_generate`, TYPE, Buffer.of(0)))]) {
      const answer = bytes(call(`${scheme}_sign`, TYPE, one, MESSAGE))
      assert.equal(answer.length, 65)
      assert.equal(answer[0], 1)
      assert.ok(verify(MESSAGE, answer.subarray(1), one))
      assert.ok(!verify(Buffer.from('another'), answer.subarray(1), one))
    }
    assert.equal(call(`${scheme}_sign`, Buffer.from('else'), key, MESSAGE), '0x00')
    assert.equal(call(`${scheme}_sign`, TYPE, Buffer.alloc(32, 9), MESSAGE), '0x00')
    assert.throws(() => call(`${scheme}_generate`, TYPE, Buffer.of(1, 4, 65)), /32 bytes in hexadecimal/)
  })
}

test('a value is read from an offset into the room there is', () => {
  assert.equal(call('read_answer', Buffer.of(0xaa)), '0x0106000000') // six bytes were left
  assert.equal(call('read_bytes', Buffer.of(0xaa)), '0x000000000304050600000000')
  assert.equal(call('read_answer', Buffer.of(0xbb)), '0x0100000000') // the offset is behind the end
  assert.equal(call('read_answer', Buffer.of(0xcc)), '0x00')
})
