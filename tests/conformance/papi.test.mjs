// polkadot-api (PAPI) against the embedded chain, or the node at PROOFWARD_NODE: chainHead v1, archive v1, chainSpec v1
// and transaction v1.
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { Keyring } from '@polkadot/keyring'
import { cryptoWaitReady } from '@polkadot/util-crypto'
import { Binary, createClient } from 'polkadot-api'
import { getPolkadotSigner } from 'polkadot-api/signer'
import { getWsProvider } from 'polkadot-api/ws'
import { WebSocket } from 'ws'
import { promise, target } from './target.mjs'

let node
let client
let api
let bob
let signer
let receiver // of its own, as all of this is Bob's: the other suites pay from Alice's account at the same time

before(async () => {
  await cryptoWaitReady()
  node = await target()
  client = createClient(getWsProvider(node.url, { websocketClass: WebSocket }))
  api = client.getUnsafeApi()
  bob = new Keyring({ type: 'sr25519' }).addFromUri('//Bob')
  signer = getPolkadotSigner(bob.publicKey, 'Sr25519', (bytes) => bob.sign(bytes))
  receiver = new Keyring({ type: 'sr25519' }).addFromUri(`//Bob/${Date.now()}`).address
})

after(() => {
  client?.destroy()
  node?.stop()
})

const transfer = (to, value) => api.tx.Balances.transfer_keep_alive({ dest: { type: 'Id', value: to }, value })
const request = (method, params) => client._request(method, params)

test('the client follows the chain and reads it', async () => {
  const { name, genesisHash } = await client.getChainSpecData()
  assert.equal(name, await request('system_chain', []))
  assert.equal(genesisHash, await request('chain_getBlockHash', [0]))
  const numbers = []
  const { kept, keep } = promise()
  const subscription = client.finalizedBlock$.subscribe(({ number }) => numbers.push(number) > 2 && keep())
  await kept
  subscription.unsubscribe()
  assert.deepEqual(
    numbers.slice(0, 3),
    [0, 1, 2].map((more) => numbers[0] + more),
  )
  const block = await client.getFinalizedBlock()
  const header = await client.getBlockHeader(block.hash)
  assert.equal(header.number, block.number)
  assert.ok((await client.getBlockBody(block.hash)).length >= 1)
  const account = await api.query.System.Account.getValue(bob.address)
  assert.ok(account.data.free > 0n)
  assert.ok((await api.query.System.Account.getEntries()).length >= 2)
  assert.ok((await api.constants.System.BlockHashCount()) > 0)
  assert.equal((await api.apis.Core.version()).spec_name, (await request('state_getRuntimeVersion', [])).specName)
})

test('an extrinsic goes through every stage', async () => {
  const seen = []
  const { kept, keep } = promise()
  api.tx.System.remark_with_event({ remark: Binary.fromText('papi') })
    .signSubmitAndWatch(signer)
    .subscribe({
      next: (event) => {
        seen.push(event.type)
        if (event.type === 'finalized') keep(event)
      },
      error: (error) => keep({ error }),
    })
  const last = await kept
  assert.equal(last.error, undefined)
  assert.equal(last.ok, true)
  assert.ok(last.events.some(({ type, value }) => type === 'System' && value.type === 'Remarked'))
  assert.deepEqual([...new Set(seen)], ['signed', 'broadcasted', 'txBestBlocksState', 'finalized'])
  const { block } = last
  assert.ok((await client.getBlockBody(block.hash)).length > block.index)
})

test('fees are estimated, and an extrinsic that cannot be is an error', async () => {
  assert.ok((await transfer(receiver, 1n).getEstimatedFees(bob.address)) > 0n)
  const poor = new Keyring({ type: 'sr25519' }).addFromUri('//Nobody')
  const unpaid = getPolkadotSigner(poor.publicKey, 'Sr25519', (bytes) => poor.sign(bytes))
  await assert.rejects(transfer(receiver, 1n).signAndSubmit(unpaid), /Payment/)
  const { ok, dispatchError } = await transfer(receiver, 2n ** 100n).signAndSubmit(signer)
  assert.equal(ok, false)
  assert.ok(dispatchError)
})

test('values that are watched change with the blocks', async () => {
  const free = new Set()
  const two = promise()
  const first = promise()
  const watch = api.query.System.Account.watchValue(receiver, { at: 'finalized' }).subscribe({
    next: ({ value }) => {
      free.add(value.data.free) // the first one may be told twice
      first.keep()
      if (free.size === 2) two.keep()
    },
    error: two.keep,
  })
  await first.kept
  const { ok } = await transfer(receiver, 1_000_000_000_000n).signAndSubmit(signer)
  assert.equal(ok, true)
  assert.equal(await two.kept, undefined)
  watch.unsubscribe()
  const [before, after] = free
  assert.equal(after, before + 1_000_000_000_000n)
})

test('entries that are watched are told once, and again when one changes', async () => {
  const first = promise()
  const changed = promise()
  const seen = []
  const watch = api.query.System.Account.watchEntries().subscribe({
    next: ({ deltas, entries }) => {
      seen.push({ changed: (deltas?.upserted ?? []).map(({ args }) => args[0]), count: entries.length })
      first.keep()
      if (seen.length > 1 && seen.at(-1).changed.includes(receiver)) changed.keep()
    },
    error: changed.keep,
  })
  await first.kept
  const { ok } = await transfer(receiver, 1_000_000_000_000n).signAndSubmit(signer)
  assert.equal(ok, true)
  assert.equal(await changed.kept, undefined)
  watch.unsubscribe()
  assert.ok(seen[0].count >= 2)
})

test('the archive has old blocks, and an unknown one is null', async (test) => {
  // PAPI stands in for archive_v1 where a node prunes, with answers that are not the standard's
  const { methods } = await request('rpc_methods', [])
  if (!methods.includes('archive_v1_hashByHeight')) return test.skip('the node keeps no archive')
  const unknown = `0x${'11'.repeat(32)}`
  const height = await request('archive_v1_finalizedHeight', [])
  const [hash] = await request('archive_v1_hashByHeight', [1])
  assert.deepEqual(await request('archive_v1_hashByHeight', [height + 1_000_000]), [])
  assert.equal(await request('archive_v1_genesisHash', []), await request('chain_getBlockHash', [0]))
  const header = await request('archive_v1_header', [hash])
  assert.match(header, /^0x[0-9a-f]{196,}$/)
  const body = await request('archive_v1_body', [hash])
  assert.deepEqual(body, (await request('chain_getBlock', [hash])).block.extrinsics)
  const called = await request('archive_v1_call', [hash, 'Core_version', '0x'])
  assert.equal(called.success, true)
  assert.equal(called.value, await request('state_call', ['Core_version', '0x', hash]))
  const failed = await request('archive_v1_call', [hash, 'No_such', '0x'])
  assert.equal(failed.success, false)
  assert.equal(typeof failed.error, 'string')
  for (const method of ['archive_v1_header', 'archive_v1_body']) assert.equal(await request(method, [unknown]), null)
  // null by the standard, an error in polkadot-sdk's node
  assert.notEqual((await request('archive_v1_call', [unknown, 'Core_version', '0x']))?.success, true)
})
