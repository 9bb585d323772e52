// Storage and pool against plain models, over random histories (the seed is fixed).
import assert from 'node:assert/strict'
import test from 'node:test'
import { Pool } from './pool.mjs'
import { Overlay, VersionedState } from './state.mjs'

function random(seed) {
  let state = seed
  return (limit) => {
    state = (state * 1103515245 + 12345) % 2147483648
    return Math.floor(state / 65536) % limit // the low bits of such a sequence repeat soon
  }
}

const KEYS = Array.from({ length: 24 }, (_, number) => `0x${(number * 37).toString(16).padStart(4, '0')}`)
const PREFIXES = ['0x', '0x0', '0x00', '0x01', '0x0129', '0x03']

function nextIn(model, prefix, after) {
  return [...model.keys()].sort().find((key) => key > after && key.startsWith(prefix))
}

test('state at every height, and transactions on it, read and walk as plain maps do', () => {
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
      for (const key of KEYS) {
        assert.equal(state.read(key, height), expected.get(key) ?? null)
        for (const prefix of PREFIXES) {
          assert.equal(state.nextKey(prefix, key, height), nextIn(expected, prefix, key))
        }
      }
      const all = [...expected.keys()].sort().filter((key) => key.startsWith('0x0'))
      assert.deepEqual(state.keys('0x0', height, 100, '0x'), all)
    }
    const base = draw(6)
    const overlay = new Overlay(state, base)
    let expected = new Map(models[base])
    const saved = []
    for (let i = 0; i < 30; i += 1) {
      const key = KEYS[draw(24)]
      const act = draw(8)
      if (act < 4) {
        overlay.write(key, act < 2 ? null : `0xf${i}`)
        act < 2 ? expected.delete(key) : expected.set(key, `0xf${i}`)
      } else if (act === 4) {
        overlay.start()
        saved.push(new Map(expected))
      } else if (act === 5 && saved.length > 0) {
        overlay.commit()
        saved.pop()
      } else if (act === 6 && saved.length > 0) {
        overlay.rollback()
        expected = saved.pop()
      } else if (act === 7 && draw(3) === 0) {
        const prefix = PREFIXES[draw(6)]
        assert.equal(overlay.clear(prefix, Infinity).all, true)
        for (const one of [...expected.keys()]) if (one.startsWith(prefix)) expected.delete(one)
      }
      for (const one of KEYS) {
        assert.equal(overlay.read(one), expected.get(one) ?? null)
        assert.equal(overlay.next(one), nextIn(expected, '0x', one))
      }
    }
  }
})

test('a prefix is cleared up to the limit, which counts the keys of the state alone', () => {
  const state = new VersionedState()
  state.commit(
    0,
    ['0x01', '0x02', '0x03'].map((key) => [key, '0xaa']),
  )
  const overlay = new Overlay(state, 0)
  overlay.write('0x04', '0xbb')
  assert.deepEqual(overlay.clear('0x0', 2), { removed: 2, all: false })
  assert.deepEqual(
    [...overlay.changes],
    [
      ['0x04', null],
      ['0x01', null],
      ['0x02', null],
    ],
  )
  assert.equal(overlay.next('0x'), '0x03')
  assert.deepEqual(overlay.clear('0x0', 5), { removed: 3, all: true })
})

test('a walk over the main trie does not enter a child trie', () => {
  const child = `0x3a6368696c645f73746f726167653a64656661756c743a${'ab'.repeat(32)}`
  const state = new VersionedState()
  state.commit(0, [
    ['0x3a', '0x01'],
    [`${child}01`, '0x02'],
    [`${child}02`, '0x03'],
    ['0x3b', '0x04'],
  ])
  const overlay = new Overlay(state, 0)
  assert.equal(overlay.next('0x3a'), '0x3b')
  assert.deepEqual(overlay.clear(child, 1), { removed: 1, all: false })
  assert.deepEqual([...overlay.changes.keys()], [`${child}01`])
})

const ALICE = 'aa'.repeat(32)
const tag = (nonce) => `0x${ALICE}${nonce.toString(16).padStart(2, '0')}000000`
// As the runtime's validation describes an extrinsic of Alice; her next nonce in the state is 5.
const signed = (hash, nonce, priority = 0n) => {
  const requires = nonce > 5 ? [tag(nonce - 1)] : []
  return { hash, bytes: hash, priority, requires, provides: [tag(nonce)] }
}

test('the pool gives what is ready, in the order of nonces and priorities, and keeps each extrinsic once', () => {
  const pool = new Pool()
  for (const [hash, nonce] of [
    ['third', 7],
    ['first', 5],
    ['second', 6],
    ['late', 9],
  ])
    pool.add(signed(hash, nonce))
  pool.add({ hash: 'urgent', bytes: 'urgent', priority: 9n, requires: [], provides: ['0xbb'] })
  assert.equal(pool.nextNonce(ALICE, 5), 8)
  assert.deepEqual(
    pool.take(9).map(({ hash }) => hash),
    ['urgent', 'first', 'second', 'third'],
  )
  assert.equal(pool.ready('third'), true)
  assert.equal(pool.ready('late'), false)
  assert.throws(() => pool.add(signed('late', 9)), { code: 1013 })
  pool.included(pool.take(2))
  assert.deepEqual(
    pool.take(9).map(({ hash }) => hash),
    ['second', 'third'],
  )
  for (let block = 0; block < 63; block += 1) assert.deepEqual(pool.age(), [])
  assert.deepEqual(
    pool.age().map(({ hash }) => hash),
    ['late'],
  )
})

test('an extrinsic is replaced by one that provides the same at a higher priority, and by no other', () => {
  const pool = new Pool()
  pool.add(signed('old', 5, 10n))
  pool.add(signed('next', 6, 10n))
  assert.throws(() => pool.add(signed('equal', 5, 10n)), { code: 1014, message: /too low/ })
  assert.deepEqual(pool.add(signed('new', 5, 11n)), ['old'])
  assert.deepEqual(
    pool.take(9).map(({ hash }) => hash),
    ['new', 'next'],
  )
  pool.remove('new')
  assert.deepEqual(pool.take(9), [])
})
