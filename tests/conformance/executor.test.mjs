// Our executor against chopsticks' interpreter: the same calls on the same state must give the same result and the same
// changes. Needs the committed chain spec.
import assert from 'node:assert/strict'
import test, { after } from 'node:test'

process.env.LOG_LEVEL = 'fatal'
const { calculateStateRoot, destroyWorker, runTask } = await import('@acala-network/chopsticks-core')
const { cryptoWaitReady } = await import('@polkadot/util-crypto')
const { hexToU8a, u8aToHex } = await import('@polkadot/util')
const { execute } = await import('../../devnet/executor.mjs')
const { genesisBlock, readSpec, UNKNOWN_ROOT } = await import('../../devnet/genesis.mjs')
const { encodeHeader } = await import('../../devnet/scale.mjs')
const { Overlay, VersionedState } = await import('../../devnet/state.mjs')
const { trieRoot } = await import('../../devnet/trie.mjs')

const CODE = '0x3a636f6465'
await cryptoWaitReady()
const spec = readSpec(new URL('../../chain/spec/proofward-dev.json', import.meta.url).pathname)
const genesis = genesisBlock(spec)
const state = new VersionedState()
state.commit(0, genesis.changes)
const code = state.read(CODE, 0)
after(destroyWorker)

// What chopsticks' executor makes of `calls` on top of the genesis.
async function reference(calls) {
  const refuse = async () => assert.fail('an offchain call')
  const answer = await runTask(
    { wasm: code, calls, mockSignatureHost: false, allowUnresolvedImports: false, runtimeLogLevel: 0 },
    {
      getStorage: (key) => state.read(key, 0) ?? undefined,
      getNextKey: (prefix, key) => state.nextKey(prefix, key, 0),
      offchainGetStorage: refuse,
      offchainTimestamp: refuse,
      offchainRandomSeed: refuse,
      offchainSubmitTransaction: refuse,
    },
  )
  assert.ok(answer.Call, answer.Error)
  const changes = new Map(answer.Call.storageDiff.map(([key, value]) => [key, value ?? null]))
  return { result: answer.Call.result, changes }
}

function ours(calls) {
  const overlay = new Overlay(state, 0)
  let result
  for (const [name, [input]] of calls) result = execute(code, name, input, overlay)
  return { result, changes: overlay.changes }
}

const sorted = (changes) => [...changes].sort(([one], [other]) => (one < other ? -1 : 1))
// a write of what was there already is no change, and a key that was never there cannot be removed
const effective = (changes) => sorted(changes).filter(([key, value]) => value !== state.read(key, 0))
// parent 32 bytes, number 1 byte, then the state root, which neither executor is asked for
const withoutStateRoot = (header) => header.slice(0, 2 + 66) + header.slice(2 + 66 + 64)

const TIME = 1_790_000_000_000
const little = (value, width) => new Uint8Array(new BigUint64Array([BigInt(value)]).buffer).slice(0, width)
// DigestItem::PreRuntime of Aura: the slot that the time is in.
const slot = () => {
  const length = Buffer.from(ours([['AuraApi_slot_duration', ['0x']]]).result.slice(2), 'hex').readBigUInt64LE()
  return new Uint8Array([0x06, ...Buffer.from('aura'), 8 << 2, ...little(BigInt(TIME) / length, 8)])
}
const draft = encodeHeader({
  parentHash: genesis.hash,
  number: 1,
  stateRoot: UNKNOWN_ROOT,
  extrinsicsRoot: UNKNOWN_ROOT,
  logs: [slot()],
})
// Timestamp.set (pallet 1, call 0) as a bare extrinsic; the time is a compact integer of six bytes.
const timestamp = (time) => u8aToHex(new Uint8Array([0x28, 0x05, 0x01, 0x00, 0x0b, ...little(time, 6)]))
const BLOCK = [
  ['Core_initialize_block', [draft]],
  ['BlockBuilder_apply_extrinsic', [timestamp(TIME)]],
  ['BlockBuilder_finalize_block', ['0x']],
]

test('a block has the same header and the same changes', async () => {
  const [expected, got] = [await reference(BLOCK), ours(BLOCK)]
  assert.equal(withoutStateRoot(got.result), withoutStateRoot(expected.result))
  assert.deepEqual(effective(got.changes), effective(expected.changes))
})

test('the metadata and the version are the same', async () => {
  for (const name of ['Core_version', 'Metadata_metadata', 'ReviveApi_gas_price', 'ReviveApi_eth_block']) {
    const calls = [[name, ['0x']]]
    assert.equal(ours(calls).result, (await reference(calls)).result)
  }
})

test('a trap changes nothing and is an error', () => {
  const overlay = new Overlay(state, 0)
  assert.throws(() => execute(code, 'BlockBuilder_apply_extrinsic', '0x1234', overlay), /trapped/)
  assert.throws(() => execute(code, 'No_such_function', '0x', overlay), /no function/)
  assert.equal(overlay.changes.size, 0)
})

test('trie roots are chopsticks', async () => {
  let seed = 5
  const draw = (limit) => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return Math.floor(seed / 65536) % limit // the low bits of such a sequence repeat soon
  }
  for (const size of [1, 2, 3, 17, 200]) {
    const pairs = new Map()
    while (pairs.size < size) {
      const key = Uint8Array.from({ length: 1 + draw(4) }, () => draw(3) * 17)
      const [last, value] = [Uint8Array.of(draw(256)), new Uint8Array(draw(80)).fill(draw(256))]
      pairs.set(u8aToHex(key) + u8aToHex(last).slice(2), u8aToHex(value))
    }
    for (const version of [0, 1]) {
      const entries = [...pairs]
      const root = trieRoot(
        entries.map((pair) => pair.map((hex) => hexToU8a(hex))),
        version,
      )
      assert.equal(u8aToHex(root), await calculateStateRoot(entries, version))
    }
  }
})
