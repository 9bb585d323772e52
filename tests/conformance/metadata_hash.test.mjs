// What a hardware wallet signs besides a call: the hash of the metadata by which it showed the call (RFC 78). Here it is
// computed by other people's code than what the runtime was built with, and signed for by yet other people's.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test, { after, before } from 'node:test'
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api'
import { merkleizeMetadata } from '@polkadot-api/merkleize-metadata'
import { EMBEDDED, target } from './target.mjs'

const UNIT = { decimals: 12, tokenSymbol: 'UNIT' }
let node
let provider
let api
let alice
let metadata

before(async () => {
  node = await target()
  provider = new WsProvider(node.url)
  api = await ApiPromise.create({ provider, noInitWarn: true, throwOnConnect: true })
  alice = new Keyring({ type: 'sr25519' }).addFromUri('//Alice')
  // Version 15, in an option and with its length in front: a compact number of four bytes.
  const answer = await provider.send('state_call', ['Metadata_metadata_at_version', '0x0f000000'])
  metadata = Buffer.from(answer.slice(2), 'hex').subarray(5)
})

after(async () => {
  await api?.disconnect()
  node?.stop()
})

const digest = (about) => merkleizeMetadata(metadata, about).digest()
const hex = (bytes) => `0x${Buffer.from(bytes).toString('hex')}`

// Sign with a hash, and give what becomes of it: the block's hash, or the refusal.
async function sent(options) {
  const nonce = (await api.rpc.system.accountNextIndex(alice.address)).toNumber()
  const call = api.tx.system.remarkWithEvent(`mode ${options.mode}`)
  await call.signAsync(alice, { nonce, ...options })
  return new Promise((resolve) => {
    call
      .send((result) => {
        if (result.isInBlock) resolve(result.dispatchError ?? 'included')
        else if (result.isError) resolve(result.status.type)
      })
      .catch((error) => resolve(error.message))
  })
}

test('the committed hash is what other code finds in the metadata', { skip: !EMBEDDED }, () => {
  const hashes = readFileSync(new URL('../../chain/spec/proofward-dev.sha256', import.meta.url), 'utf8')
  assert.equal(hex(digest(UNIT)).slice(2), /^([0-9a-f]{64}) {2}metadata_hash$/m.exec(hashes)?.[1])
})

test('an extrinsic that is signed with the hash is taken', async () => {
  assert.equal(await sent({ mode: 1, metadataHash: hex(digest(UNIT)) }), 'included')
  assert.equal(await sent({ mode: 0 }), 'included')
})

test('one that is signed with the hash of anything else is refused', async () => {
  const wrong = {
    'another unit': digest({ ...UNIT, tokenSymbol: 'DOT' }),
    'other decimals': digest({ ...UNIT, decimals: 10 }),
    'a bit that is off': digest(UNIT).map((byte, at) => (at === 0 ? byte ^ 1 : byte)),
    'zeros, as of a runtime that was built without': Buffer.alloc(32),
  }
  for (const [fault, metadataHash] of Object.entries(wrong))
    assert.match(String(await sent({ mode: 1, metadataHash: hex(metadataHash) })), /bad signature|Invalid/, fault)
  assert.match(String(await sent({ mode: 1 })), /bad signature|Invalid/, 'the mode without a hash')
})
