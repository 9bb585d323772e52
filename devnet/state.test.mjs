// Storage and pool against plain models, over random histories (the seed is fixed).
import assert from 'node:assert/strict'
import test from 'node:test'
import { Pool } from './pool.mjs'
import { Overlay, VersionedState } from './state.mjs'

function random(seed) {
  let state = seed
  return (limit) => {
    state = (state * 1103515245 + 12345) % 2147483648
    return state % limit
  }
}

const KEYS = Array.from({ length: 24 }, (_, number) => `0x${(number * 37).toString(16).padStart(4, '0')}`)
const PREFIXES = ['0x', '0x0', '0x00', '0x01', '0x0129', '0x03']

function nextIn(model, prefix, after) {
  return [...model.keys()].sort().find((key) => key > after && key.startsWith(prefix))
}

test('state at every height, and an overlay on it, read and walk as plain maps do', async () => {
  const draw = random(7)
  for (let round = 0; round < 12; round += 1) {
    const state = new VersionedState()
    const models = []
    let model = new Map()
    for (let height = 0; height < 6; height += 1) {
      const changes = new Map()
      for (let i = draw(10); i >= 0; i -= 1) changes.set(KEYS[draw(24)], draw(3) ? `0x${height}${i}` : null)
      state.commit(height, changes)
      model = new Map(model)
      for (const [key, value] of changes) value === null ? model.delete(key) : model.set(key, value)
      models.push(model)
    }
    for (const [height, expected] of models.entries()) {
      const view = state.at(height)
      for (const key of KEYS) {
        assert.equal(await view.get(key), expected.get(key))
        for (const prefix of PREFIXES) {
          assert.equal(await view.findNextKey(prefix, key), nextIn(expected, prefix, key))
        }
      }
      const all = [...expected.keys()].sort().filter((key) => key.startsWith('0x0'))
      assert.deepEqual(await view.getKeysPaged('0x0', 100, '0x'), all)
    }
    const base = draw(6)
    const overlay = new Overlay(state, base)
    const expected = new Map(models[base])
    for (let i = 0; i < 8; i += 1) {
      const [key, value] = [KEYS[draw(24)], draw(2) ? `0xf${i}` : undefined]
      overlay.apply([[key, value]])
      value === undefined ? expected.delete(key) : expected.set(key, value)
    }
    const { getStorage, getNextKey } = overlay.handler()
    for (const key of KEYS) {
      assert.equal(await getStorage(key), expected.get(key))
      for (const prefix of PREFIXES) assert.equal(await getNextKey(prefix, key), nextIn(expected, prefix, key))
    }
  }
})

test('a walk over the main trie does not enter a child trie, and one over a child stays in it', async () => {
  const child = `0x3a6368696c645f73746f726167653a64656661756c743a${'ab'.repeat(32)}`
  const state = new VersionedState()
  state.commit(0, [['0x3a', '0x01'], [`${child}01`, '0x02'], [`${child}02`, '0x03'], ['0x3b', '0x04']])
  const { getNextKey } = new Overlay(state, 0).handler()
  assert.equal(await getNextKey('0x', '0x3a'), '0x3b')
  assert.equal(await getNextKey(child, child), '0x01')
  assert.equal(await getNextKey(child, `${child}01`), '0x02')
  assert.equal(await getNextKey(child, `${child}02`), undefined)
})

test('the pool gives nonces in order, keeps what is early and refuses what is late', async () => {
  const pool = new Pool()
  const results = {}
  const add = (hash, signer, nonce) => {
    results[hash] = 'waits'
    pool.add({ hash, bytes: hash, signer, nonce }).then(
      () => (results[hash] = 'taken'),
      (error) => (results[hash] = error.data),
    )
  }
  add('third', 'alice', 7)
  add('first', 'alice', 5)
  add('stale', 'alice', 4)
  add('second', 'alice', 6)
  add('early', 'bob', 9)
  add('free', undefined, undefined)
  assert.equal(pool.nextNonce('alice', 5), 8)
  const ready = pool.ready(10, (signer) => (signer === 'alice' ? 5 : 0)).map(({ hash }) => hash)
  assert.deepEqual(ready, ['free', 'first', 'second', 'third'])
  for (const hash of ready) pool.settle(hash)
  await new Promise(setImmediate)
  assert.equal(results.stale, 'Transaction is outdated')
  assert.equal(results.early, 'taken')
  assert.deepEqual(pool.pendingExtrinsics, ['early'])
  assert.throws(() => pool.add({ hash: 'early' }), { code: 1013 })
})
