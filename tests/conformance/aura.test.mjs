// Blocks of a runtime with Aura. The runtime is a few lines that refuse what pallet-aura refuses: a block without a slot,
// and a slot that does not grow; with a key "m" in the genesis, the same slot again is allowed.
import assert from 'node:assert/strict'
import test from 'node:test'
import { u8aToHex } from '@polkadot/util'
import { cryptoWaitReady, xxhashAsHex } from '@polkadot/util-crypto'
import wabt from 'wabt'
import { DevChain } from '../../devnet/chain.mjs'
import { headerJson } from '../../devnet/scale.mjs'

const SLOT_MS = 2000
await cryptoWaitReady()
const item = (name) => xxhashAsHex('Aura', 128) + xxhashAsHex(name, 128).slice(2)
const escaped = (hex) => hex.slice(2).replace(/../g, '\\$&')
const hexOf = (text) => u8aToHex(Buffer.from(text))

// Of a header below block 64 with one digest item, Aura's: 112 bytes, the slot in the last eight.
const TEXT = `(module
  (import "env" "memory" (memory 1))
  (import "env" "ext_storage_read_version_1" (func $read (param i64 i64 i32) (result i64)))
  (import "env" "ext_storage_set_version_1" (func $set (param i64 i64)))
  (import "env" "ext_storage_exists_version_1" (func $exists (param i64) (result i32)))
  (global (export "__heap_base") i32 (i32.const 4096))
  (data (i32.const 0) "${escaped(item('CurrentSlot'))}")
  (data (i32.const 32) "mht\\00")
  (data (i32.const 40) "\\d0\\07\\00\\00\\00\\00\\00\\00")
  (func $span (param $at i32) (param $length i32) (result i64)
    (i64.or (i64.extend_i32_u (local.get $at)) (i64.shl (i64.extend_i32_u (local.get $length)) (i64.const 32))))
  (func (export "AuraApi_slot_duration") (param i32 i32) (result i64) (call $span (i32.const 40) (i32.const 8)))
  (func (export "Core_initialize_block") (param $at i32) (param $length i32) (result i64)
    (local $slot i64) (local $last i64)
    (if (i32.ne (local.get $length) (i32.const 112)) (then unreachable))
    (if (i32.ne (i32.load (i32.add (local.get $at) (i32.const 99))) (i32.const 0x61727561)) (then unreachable))
    (local.set $slot (i64.load (i32.add (local.get $at) (i32.const 104))))
    (drop (call $read (call $span (i32.const 0) (i32.const 32)) (call $span (i32.const 64) (i32.const 8)) (i32.const 0)))
    (local.set $last (i64.load (i32.const 64)))
    (if (i64.lt_u (local.get $slot) (local.get $last)) (then unreachable))
    (if (i64.eq (local.get $slot) (local.get $last))
      (then (if (i32.eqz (call $exists (call $span (i32.const 32) (i32.const 1)))) (then unreachable))))
    (call $set (call $span (i32.const 0) (i32.const 32)) (call $span (i32.add (local.get $at) (i32.const 104)) (i32.const 8)))
    (call $set (call $span (i32.const 33) (i32.const 1)) (call $span (local.get $at) (local.get $length)))
    (i64.const 0))
  (func (export "BlockBuilder_inherent_extrinsics") (param $at i32) (param $length i32) (result i64)
    (call $set (call $span (i32.const 34) (i32.const 1)) (call $span (local.get $at) (local.get $length)))
    (call $span (i32.const 35) (i32.const 1)))
  (func (export "BlockBuilder_finalize_block") (param i32 i32) (result i64)
    (drop (call $read (call $span (i32.const 33) (i32.const 1)) (call $span (i32.const 128) (i32.const 112)) (i32.const 0)))
    (call $span (i32.const 128) (i32.const 112))))`

const { parseWat } = await wabt()
const code = u8aToHex(parseWat('aura.wat', TEXT).toBinary({}).buffer)

// The slots of some blocks made at once, and their times from the inherents.
async function built(count, genesis = {}) {
  const top = { '0x3a636f6465': code, [item('Authorities')]: '0x00', ...genesis }
  const chain = await DevChain.open({ name: 'aura', genesis: { raw: { top } } }, { blockTime: 60_000, log: () => {} })
  const found = []
  for (let number = 1; number <= count; number += 1) {
    const block = await chain.newBlock()
    const [log] = headerJson(block.header).digest.logs
    assert.match(log, /^0x066175726120/) // PreRuntime, "aura", eight bytes
    const slot = Number(Buffer.from(log.slice(-16), 'hex').readBigUInt64LE())
    const inherent = Buffer.from(chain.state.read(hexOf('t'), number).slice(2), 'hex')
    assert.equal(inherent.subarray(1, 9).toString(), 'timstap0')
    found.push({ slot, time: Number(inherent.readBigUInt64LE(10)) })
  }
  await chain.close()
  return found
}

test('each block has a later slot than the last, and a time in it', async () => {
  const before = Math.floor(Date.now() / SLOT_MS)
  const found = await built(6)
  assert.ok(found[0].slot >= before)
  for (const { slot, time } of found) assert.equal(Math.floor(time / SLOT_MS), slot)
  for (const [at, { slot }] of found.slice(1).entries()) assert.ok(slot > found[at].slot)
})

test('where a slot may have several blocks, time does not run ahead of the clock', async () => {
  const found = await built(6, { [hexOf('m')]: '0x01' })
  assert.ok(found.at(-1).time <= Date.now())
  for (const { slot, time } of found) assert.equal(Math.floor(time / SLOT_MS), slot)
})
