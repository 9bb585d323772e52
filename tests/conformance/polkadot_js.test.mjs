// @polkadot/api against the embedded chain, or the node at PROOFWARD_NODE.
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api'
import { EMBEDDED, promise, target } from './target.mjs'

const UNKNOWN = `0x${'11'.repeat(32)}`
let node
let api
let alice
let bob
const raw = (method, params = []) => provider.send(method, params)
let provider

before(async () => {
  node = await target()
  provider = new WsProvider(node.url)
  api = await ApiPromise.create({ provider, noInitWarn: true, throwOnConnect: true })
  const keyring = new Keyring({ type: 'sr25519' })
  ;[alice, bob] = [keyring.addFromUri('//Alice'), keyring.addFromUri('//Bob')]
})

after(async () => {
  await api?.disconnect()
  node?.stop()
})

const remark = (text) => api.tx.system.remarkWithEvent(text)
const nextNonce = async () => (await api.rpc.system.accountNextIndex(alice.address)).toNumber()

// Send, and give the names of the statuses seen and the last result.
async function watched(call, options = {}) {
  const seen = []
  const { kept, keep } = promise()
  const unsubscribe = await call.signAndSend(alice, options, (result) => {
    seen.push(result.status.type)
    if (result.isCompleted && !result.status.isInBlock) keep(result)
  })
  const last = await kept
  unsubscribe()
  return { seen, last }
}

test('an extrinsic is seen ready, in a block and final, with its events', async () => {
  for (let round = 0; round < 3; round += 1) {
    const { seen, last } = await watched(remark(`round ${round}`))
    assert.deepEqual(
      seen.filter((one) => one !== 'Broadcast'),
      ['Ready', 'InBlock', 'Finalized'],
    )
    assert.ok(last.events.some(({ event }) => api.events.system.Remarked.is(event)))
    assert.equal(last.dispatchError, undefined)
    const block = await api.rpc.chain.getBlock(last.status.asFinalized)
    assert.ok(block.block.extrinsics.some(({ hash }) => hash.eq(last.txHash)))
  }
})

test('a subscription to storage hears of every block that sets it, equal values too', async () => {
  const key = api.query.timestamp.now.key()
  const extrinsics = api.query.system.events.key()
  const blocks = []
  const { kept, keep } = promise()
  const id = await provider.subscribe(
    'state_storage',
    'state_subscribeStorage',
    [[extrinsics, key]],
    (_, { block, changes }) => {
      blocks.push([block, changes.map(([name]) => name)])
      if (blocks.length > 6) keep()
    },
  )
  for (let sent = 0; sent < 6; sent += 1)
    await watched(api.tx.balances.transferKeepAlive(bob.address, 1_000_000_000_000n))
  await kept
  assert.equal(new Set(blocks.map(([block]) => block)).size, blocks.length)
  const numbers = await Promise.all(
    blocks.map(async ([block]) => (await api.rpc.chain.getHeader(block)).number.toNumber()),
  )
  assert.deepEqual(
    numbers,
    numbers.map((_, at) => numbers[0] + at),
  ) // System.Events is set in every block
  assert.ok(blocks.every(([, names]) => names.includes(extrinsics)))
  assert.equal(await provider.unsubscribe('state_storage', 'state_unsubscribeStorage', id), true)
})

test('heads of all three kinds arrive under their names', async () => {
  for (const [notification, subscribe, unsubscribe] of [
    ['chain_allHead', 'chain_subscribeAllHeads', 'chain_unsubscribeAllHeads'],
    ['chain_newHead', 'chain_subscribeNewHeads', 'chain_unsubscribeNewHeads'],
    ['chain_finalizedHead', 'chain_subscribeFinalizedHeads', 'chain_unsubscribeFinalizedHeads'],
  ]) {
    const { kept, keep } = promise()
    const numbers = []
    const id = await provider.subscribe(
      notification,
      subscribe,
      [],
      (_, header) => numbers.push(Number(header.number)) > 2 && keep(),
    )
    await kept
    const gaps = numbers.slice(1).map((number, at) => number - numbers[at])
    // where several blocks become final together, a node tells of the last one alone
    if (subscribe === 'chain_subscribeFinalizedHeads') assert.ok(gaps.every((gap) => gap >= 1))
    else assert.ok(gaps.every((gap) => gap === 1))
    assert.equal(await provider.unsubscribe(notification, unsubscribe, id), true)
  }
})

test('fees are told in numbers', async () => {
  const call = api.tx.balances.transferKeepAlive(bob.address, 1)
  const { weight, partialFee } = await call.paymentInfo(alice)
  assert.ok(partialFee.toBigInt() > 0n)
  assert.ok(weight.refTime.toBigInt() > 0n)
  const signed = await call.signAsync(alice, { nonce: -1 })
  const info = await raw('payment_queryInfo', [signed.toHex()])
  assert.deepEqual(Object.keys(info).sort(), ['class', 'partialFee', 'weight'])
  assert.equal(info.class, 'normal')
  assert.match(info.partialFee, /^[1-9]\d*$/)
  assert.deepEqual(Object.keys(info.weight).sort(), ['proof_size', 'ref_time'])
  const { inclusionFee } = await raw('payment_queryFeeDetails', [signed.toHex()])
  assert.ok(Object.values(inclusionFee).every((fee) => /^0x[0-9a-f]+$/.test(fee)))
  const sum = Object.values(inclusionFee).reduce((one, other) => one + BigInt(other), 0n)
  assert.equal(sum, BigInt(info.partialFee))
})

test('an unknown block is null, or an error where its state is asked for', async () => {
  const missing = [UNKNOWN]
  assert.equal(await raw('chain_getHeader', missing), null)
  assert.equal(await raw('chain_getBlock', missing), null)
  assert.equal(await raw('chain_getBlockHash', [0xfffffff]), null)
  assert.deepEqual(await raw('chain_getBlockHash', [[0, 0xfffffff]]), [api.genesisHash.toHex(), null])
  for (const [method, params] of [
    ['state_getStorage', ['0x3a636f6465']],
    ['state_getKeysPaged', ['0x', 1, null]],
    ['state_getMetadata', []],
    ['state_getRuntimeVersion', []],
    ['state_call', ['Core_version', '0x']],
  ]) {
    await assert.rejects(raw(method, [...params, UNKNOWN]), { code: 4003, message: /unknown ?block: .*1{64}/i }, method)
  }
  const range = { code: 4001, message: /Cannot resolve a block range .*UnknownBlock/ }
  await assert.rejects(raw('state_queryStorageAt', [['0x3a636f6465'], UNKNOWN]), range)
  await assert.rejects(raw('state_queryStorage', [['0x3a636f6465'], UNKNOWN]), range)
})

test('hexadecimal is taken in upper case', async () => {
  const head = (await api.rpc.chain.getFinalizedHead()).toHex()
  const upper = `0x${head.slice(2).toUpperCase()}`
  assert.deepEqual(await raw('chain_getHeader', [upper]), await raw('chain_getHeader', [head]))
  const key = api.query.timestamp.now.key()
  assert.equal(
    await raw('state_getStorage', [`0x${key.slice(2).toUpperCase()}`, upper]),
    await raw('state_getStorage', [key, head]),
  )
})

test('storage is the same in all its spellings', async () => {
  const head = (await api.rpc.chain.getFinalizedHead()).toHex()
  const prefix = api.query.system.account.keyPrefix()
  const keys = await raw('state_getKeys', [prefix, head])
  assert.ok(keys.length >= 2)
  const paged = []
  for (;;) {
    const page = await raw('state_getKeysPaged', [prefix, 2, paged.at(-1) ?? null, head])
    paged.push(...page)
    if (page.length < 2) break
  }
  assert.deepEqual(paged, keys)
  const pairs = await raw('state_getPairs', [prefix, head])
  assert.deepEqual(
    pairs.map(([key]) => key),
    keys,
  )
  const [{ block, changes }] = await raw('state_queryStorageAt', [keys, head])
  assert.equal(block, head)
  assert.deepEqual(changes, pairs)
  const sizes = pairs.map(([, value]) => value.length / 2 - 1)
  assert.equal(await raw('state_getStorageSize', [keys[0], head]), sizes[0])
  assert.equal(
    await raw('state_getStorageSize', [prefix, head]),
    sizes.reduce((one, other) => one + other),
  )
  const hash = await raw('state_getStorageHash', [keys[0], head])
  assert.equal(hash, api.registry.hash(Buffer.from(pairs[0][1].slice(2), 'hex')).toHex())
  for (const method of ['state_getStorage', 'state_getStorageHash', 'state_getStorageSize'])
    assert.equal(await raw(method, ['0x1234', head]), null)
  await assert.rejects(raw('state_getKeysPaged', [prefix, 1001, null, head]), { code: 4002 })
})

test('changes over a range of blocks are those of the single blocks', async () => {
  const key = api.query.timestamp.now.key()
  const constant = api.query.system.account.key(bob.address)
  const to = await api.rpc.chain.getHeader(await api.rpc.chain.getFinalizedHead())
  const hashes = await raw('chain_getBlockHash', [[2, 1, 0].map((back) => to.number.toNumber() - back)])
  const found = await raw('state_queryStorage', [[key, constant], hashes[0], hashes[2]])
  assert.deepEqual(
    found.map(({ block }) => block),
    hashes,
  )
  assert.deepEqual(
    found[0].changes.map(([name]) => name),
    [key, constant],
  )
  for (const { block, changes } of found.slice(1)) {
    assert.deepEqual(
      changes.find(([name]) => name === key),
      [key, await raw('state_getStorage', [key, block])],
    )
  }
  await assert.rejects(raw('state_queryStorage', [[key], hashes[2], hashes[0]]), {
    code: 4001,
    message: /from number > to number/,
  })
})

test('the node describes itself', async () => {
  const [sync, health, chain, properties] = await Promise.all(
    ['system_syncState', 'system_health', 'chainSpec_v1_chainName', 'chainSpec_v1_properties'].map((method) =>
      raw(method),
    ),
  )
  assert.ok(sync.currentBlock >= 1 && sync.highestBlock >= sync.currentBlock)
  assert.equal(health.isSyncing, false)
  assert.equal(chain, (await api.rpc.system.chain()).toString())
  assert.deepEqual(properties, await raw('system_properties'))
  assert.equal(await raw('chainSpec_v1_genesisHash'), api.genesisHash.toHex())
  const http = node.url.replace('ws:', 'http:')
  assert.equal((await (await fetch(`${http}/health`)).json()).isSyncing, false)
  const { methods } = await raw('rpc_methods')
  assert.ok(methods.includes('chainHead_v1_follow'))
})

test('a dry run tells what would come of an extrinsic', { skip: !EMBEDDED && 'nodes take it as unsafe' }, async () => {
  const signed = await remark('dry').signAsync(alice, { nonce: -1 })
  assert.equal(await raw('system_dryRun', [signed.toHex()]), '0x0000')
  const stale = await remark('dry').signAsync(alice, { nonce: 0 })
  assert.equal(await raw('system_dryRun', [stale.toHex()]), '0x010003') // InvalidTransaction::Stale
})

test("what the pool refuses has a node's code and words", async () => {
  const stale = await remark('stale').signAsync(alice, { nonce: 0 })
  await assert.rejects(raw('author_submitExtrinsic', [stale.toHex()]), { code: 1010, data: /outdated/ })
  const random = Buffer.from(crypto.getRandomValues(new Uint8Array(39))).toString('hex')
  const noCall = `0xa404ff${random}` // a node bans what it saw before
  const noExtrinsic = /Could not decode `OpaqueExtrinsic.0`/
  await assert.rejects(raw('author_submitExtrinsic', ['0x1234']), { code: 1040, message: noExtrinsic })
  await assert.rejects(raw('author_submitExtrinsic', [noCall]), {
    code: 1002,
    message: /^1002: Verification Error/,
  })
  const watch = provider.subscribe('author_extrinsicUpdate', 'author_submitAndWatchExtrinsic', ['0x1234'], () => {})
  await assert.rejects(watch, { code: 1001, message: noExtrinsic })
  await assert.rejects(raw('payment_queryInfo', ['0x1234']), { code: 2, data: noExtrinsic })
  await assert.rejects(raw('payment_queryInfo', [noCall]), { code: 1, data: /Execution failed/ })
  const poor = new Keyring({ type: 'sr25519' }).addFromUri('//Nobody')
  const unpaid = await remark('poor').signAsync(poor, { nonce: 0 })
  await assert.rejects(raw('author_submitExtrinsic', [unpaid.toHex()]), { code: 1010, data: /Inability to pay/ })
})

test('an extrinsic waits for its nonce, and a higher tip takes its place', async () => {
  const nonce = await nextNonce()
  const cheap = await remark('cheap').signAsync(alice, { nonce: nonce + 1 })
  const dear = await remark('dear').signAsync(alice, { nonce: nonce + 1, tip: 1_000_000_000 })
  const seen = []
  const { kept, keep } = promise()
  const ended = ['usurped', 'invalid', 'dropped', 'finalized']
  await provider.subscribe('author_extrinsicUpdate', 'author_submitAndWatchExtrinsic', [cheap.toHex()], (_, status) => {
    seen.push(status)
    if (ended.includes(status) || ended.some((name) => status[name])) keep(status)
  })
  const dearHash = await raw('author_submitExtrinsic', [dear.toHex()])
  const first = await watched(remark('first'), { nonce })
  assert.equal(seen[0], 'future')
  const end = await kept
  if (EMBEDDED) assert.deepEqual(end, { usurped: dearHash })
  else assert.equal(end.finalized, undefined)
  // the dear one follows the one it waited for
  while ((await nextNonce()) < nonce + 2) await watched(remark('step'))
  const from = (await api.rpc.chain.getHeader(first.last.status.asFinalized)).number.toNumber()
  const head = (await api.rpc.chain.getHeader()).number.toNumber()
  const included = []
  for (let height = from; height <= head; height += 1) {
    const { block } = await api.rpc.chain.getBlock(await api.rpc.chain.getBlockHash(height))
    included.push(...block.extrinsics.map(({ hash }) => hash.toHex()))
  }
  assert.ok(included.includes(dearHash))
  assert.ok(!included.includes(cheap.hash.toHex()))
})
