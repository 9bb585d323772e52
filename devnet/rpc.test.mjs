// The server against hostile requests: every method by every shape of parameters, and every bound.
import assert from 'node:assert/strict'
import http from 'node:http'
import test, { after, before } from 'node:test'
import { hexToU8a } from '@polkadot/util'
import { cryptoWaitReady } from '@polkadot/util-crypto'
import { WebSocket } from 'ws'
import { CODE, DevChain } from './chain.mjs'
import { execute } from './executor.mjs'
import { readSpec } from './genesis.mjs'
import { methods, rpcHandler } from './rpc/index.mjs'
import { Reader } from './scale.mjs'
import { LIMITS, listen } from './server.mjs'
import { Overlay } from './state.mjs'

const PAGE = 'https://page.example'
const UNKNOWN = `0x${'11'.repeat(32)}`
const ALICE = 'd43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d'
const faults = []
const log = (event, fields) => event.includes('failed') && faults.push({ event, ...fields })
let chain
let server
let port

before(async () => {
  await cryptoWaitReady()
  const spec = readSpec(new URL('../chain/spec/proofward-dev.json', import.meta.url).pathname)
  chain = await DevChain.open(spec, { blockTime: 60_000, log })
  server = await listen(rpcHandler({ chain, log }), { host: '127.0.0.1', port: 0, cors: [PAGE], log })
  port = server.port
  await chain.newBlock()
})

after(async () => {
  server.close()
  await chain.close()
})

function connect(options) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, options)
  const answers = new Map()
  const notifications = []
  let heard = () => {}
  socket.on('message', (data) => {
    for (const message of [JSON.parse(data)].flat()) {
      if (message.method) notifications.push(message)
      else answers.get(message.id)?.(message)
    }
    heard()
  })
  let next = 1
  return {
    socket,
    notifications,
    opened: new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject)),
    closed: new Promise((resolve) => socket.on('close', resolve)),
    ask: (method, params, id = next++) =>
      new Promise((resolve) => {
        answers.set(id, resolve)
        socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
      }),
    async heard(wanted) {
      while (!wanted(notifications)) await new Promise((resolve) => (heard = resolve))
    },
  }
}

async function opened(options) {
  const client = connect(options)
  await client.opened
  return client
}

function post(body, headers = { 'Content-Type': 'application/json' }, { method = 'POST', path = '/' } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, method, path, headers }, async (response) => {
      let text = ''
      for await (const part of response) text += part
      resolve({ status: response.statusCode, headers: response.headers, text })
    })
    request.on('error', reject)
    request.end(body)
  })
}

// A linear congruential generator; its low bits repeat soon.
function random(seed) {
  let state = seed
  return (limit) => {
    state = (state * 1103515245 + 12345) % 2147483648
    return Math.floor(state / 65536) % limit
  }
}

test('every method by every shape of parameters gets an answer, and the chain goes on', async () => {
  const client = await opened()
  const shapes = [
    null,
    true,
    false,
    0,
    1,
    -1,
    1.5,
    42,
    2 ** 31,
    2 ** 53,
    1e308,
    '',
    'x',
    '0x',
    '0X00',
    '0x0',
    '0xzz',
    '0x00',
    UNKNOWN,
    chain.head.hash,
    chain.head.hash.toUpperCase().replace('X', 'x'),
    '0x3a636f6465',
    'Core_version',
    'Metadata_metadata',
    'BlockBuilder_apply_extrinsic',
    '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY',
    '__proto__',
    'x'.repeat(5000),
    `0x${'ab'.repeat(5000)}`,
    [],
    [null],
    [[]],
    [{}],
    ['0x'],
    ['0x00', 1],
    [UNKNOWN],
    Array(20).fill([]),
    {},
    { length: 3 },
    { __proto__: null, constructor: 1 },
    { type: 'value', key: '0x00' },
    [{ type: 'value', key: '0x' }],
    [{ type: 'descendantsValues', key: '0x' }],
    [{ type: 'closestDescendantMerkleValue', key: '0x26' }],
    [{ type: 'no' }],
    { count: -1 },
    { count: 1e9 },
    { to: 'x' },
    { count: 1 },
    { count: 1, more: 1 },
  ]
  const draw = random(11)
  const asked = []
  const ask = async (method, params) => {
    const answer = await client.ask(method, params)
    assert.equal(answer.jsonrpc, '2.0')
    assert.notEqual(answer.error?.code, -32603, `${method} ${JSON.stringify(params)}: ${JSON.stringify(answer.error)}`)
    if (answer.error?.code === -32602) assert.match(answer.error.message, /^Invalid params: \w/)
  }
  for (const [name, { params }] of methods) {
    const lists = [undefined, [], {}, 'x', ...shapes.map((shape) => [shape])]
    for (let i = 0; i < 40; i += 1)
      lists.push(Array.from({ length: 1 + draw(params.length + 1) }, () => shapes[draw(shapes.length)]))
    for (const list of lists) {
      asked.push(ask(name, list))
      if (asked.length >= LIMITS.waiting / 2) await Promise.all(asked.splice(0))
    }
  }
  await Promise.all(asked)
  const height = chain.head.number
  await chain.newBlock()
  const fresh = await opened()
  assert.equal((await fresh.ask('chain_getHeader', [])).result.number, `0x${(height + 1).toString(16)}`)
  assert.deepEqual(faults, [])
  client.socket.close()
  fresh.socket.close()
})

test('the requests that ended or froze the chain are refused by the name of their parameter', async () => {
  const client = await opened()
  const follow = (await client.ask('chainHead_v1_follow', [true])).result
  for (const [method, params, name] of [
    ['state_subscribeStorage', ['0x00'], 'keys'],
    ['state_subscribeStorage', [{}], 'keys'],
    ['state_subscribeStorage', [], 'keys'],
    ['archive_v1_storage', [null], 'hash'],
    ['chainHead_v1_storage', [follow, chain.head.hash], 'items'],
    ['dev_setRuntimeLogLevel', [42], 'level'],
    ['dev_timeTravel', [1e300], 'time'],
    ['state_getStorage', ['0xabc'], 'key'],
    ['state_queryStorageAt', [['0x00', 5]], 'keys.1'],
  ]) {
    const { error } = await client.ask(method, params)
    assert.equal(error.code, -32602)
    assert.ok(error.message.startsWith(`Invalid params: ${name}: `), error.message)
  }
  client.socket.close()
})

test('a web page of a foreign origin gets nothing, one that is allowed gets its answer', async () => {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'system_chain' })
  const json = { 'Content-Type': 'application/json' }
  const others = [
    'https://evil.example',
    'null',
    'http://page.example',
    `${PAGE}.evil.example`,
    `http://127.0.0.1:${port + 1}`,
  ]
  for (const Origin of [...others, `https://127.0.0.1:${port}`]) {
    assert.equal((await post(body, { ...json, Origin })).status, 403, Origin)
    assert.equal((await post('', { Origin }, { method: 'OPTIONS' })).status, 403)
    assert.equal((await post('', { Origin }, { method: 'GET', path: '/health' })).status, 403)
    await assert.rejects(opened({ origin: Origin }), /403/)
  }
  const allowed = await post(body, { ...json, Origin: PAGE })
  assert.equal(JSON.parse(allowed.text).result, chain.spec.name)
  assert.equal(allowed.headers['access-control-allow-origin'], PAGE)
  assert.equal(
    (await post('', { Origin: PAGE }, { method: 'OPTIONS' })).headers['access-control-allow-headers'],
    'Content-Type',
  )
  ;(await opened({ origin: PAGE })).socket.close()
  const own = `127.0.0.1:${port}` // as Python's websocket-client says
  assert.equal((await post(body, { ...json, Host: own, Origin: `http://${own}` })).status, 200)
  // a name that its owner has point here
  assert.equal((await post(body, { ...json, Host: 'evil.example', Origin: 'http://evil.example' })).status, 403)
  const plain = await post(body, json)
  assert.equal(plain.headers['access-control-allow-origin'], undefined)
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', '']) {
    assert.equal((await post(body, { 'Content-Type': type })).status, 415)
  }
  assert.equal((await post('', {}, { method: 'GET' })).status, 405)
  assert.equal(JSON.parse((await post('', {}, { method: 'GET', path: '/health' })).text).isSyncing, false)
})

test('what is no request gets an error, and a batch its answers in order', async () => {
  const raw = async (body) => JSON.parse((await post(body)).text)
  assert.equal((await raw('{')).error.code, -32700)
  for (const body of ['[]', '1', 'null', '"x"', '{}', '{"method":1}', '{"method":"system_chain","id":{}}']) {
    assert.equal((await raw(body)).error.code, -32600, body)
  }
  assert.equal((await raw('['.repeat(100_000) + ']'.repeat(100_000))).at(0).error.code, -32600)
  assert.equal((await raw('{"id":1,"method":"constructor"}')).error.code, -32601)
  assert.equal((await raw('{"id":1,"method":"state_subscribeStorage","params":[[]]}')).error.code, -32601)
  assert.equal((await post('{"method":"system_chain"}')).text, '')
  const batch = [
    { id: 2, method: 'system_chain' },
    5,
    { method: 'system_chain' },
    { id: 3, method: 'chain_getHeader', params: [5] },
  ]
  const answers = await raw(JSON.stringify(batch))
  assert.deepEqual(
    answers.map(({ id, error }) => [id, error?.code]),
    [
      [2, undefined],
      [null, -32600],
      [3, -32602],
    ],
  )
  const many = Array(LIMITS.batch + 1).fill({ id: 1, method: 'system_chain' })
  assert.equal((await raw(JSON.stringify(many))).error.code, -32010)
})

test('what is too large is refused, and so is one too many', async () => {
  assert.equal((await post('x'.repeat(LIMITS.requestBytes + 1)).catch(() => ({ status: 413 }))).status, 413)
  const big = await opened()
  big.socket.send('x'.repeat(LIMITS.requestBytes + 1))
  await big.closed
  const client = await opened()
  // one answer of a megabyte, as often as a batch may ask
  const batch = Array.from({ length: LIMITS.batch }, (_, id) => ({
    id,
    method: 'state_getStorage',
    params: ['0x3a636f6465'],
  }))
  const answers = JSON.parse((await post(JSON.stringify(batch))).text)
  assert.equal(answers.length, LIMITS.batch)
  assert.ok(answers[0].result.length > 1e6)
  assert.equal(answers.at(-1).error.code, -32008)
  const subscribed = []
  for (let i = 0; i < LIMITS.subscriptions; i += 1) {
    const { result } = await client.ask('state_subscribeStorage', [[]])
    subscribed.push(result)
  }
  assert.equal((await client.ask('chain_subscribeNewHeads', [])).error.code, -32006)
  assert.equal((await client.ask('state_unsubscribeStorage', [subscribed[0]])).result, true)
  assert.equal((await client.ask('state_unsubscribeStorage', [subscribed[0]])).result, false)
  const heads = (await client.ask('chain_subscribeNewHeads', [])).result
  await client.heard((all) => all.some(({ params }) => params.subscription === heads))
  const before = chain.events.listenerCount('block')
  client.socket.close()
  await client.closed
  const last = await opened() // the server has seen the other one close by now, or sees it before it answers
  while (chain.events.listenerCount('block') > before - LIMITS.subscriptions) await last.ask('system_health', [])
  for (let i = 0; i < 4; i += 1) assert.ok((await last.ask('chainHead_v1_follow', [false])).result)
  assert.equal((await last.ask('chainHead_v1_follow', [false])).error.code, -32800)
  last.socket.close()
})

test('a block has its turn while a batch of dear requests is answered', async () => {
  const [dear, other] = [await opened(), await opened()]
  const requests = Array.from({ length: 64 }, (_, id) => ({ id, method: 'state_getMetadata', params: [] }))
  const happened = []
  const { call } = chain
  chain.events.once('block', () => happened.push('block'))
  try {
    const begun = new Promise((resolve) => {
      chain.call = function (block, name, input) {
        if (name === 'Metadata_metadata') happened.push('request')
        resolve()
        return call.call(this, block, name, input)
      }
    })
    const answered = new Promise((resolve) => dear.socket.once('message', resolve))
    dear.socket.send(JSON.stringify(requests))
    await begun
    assert.ok((await other.ask('dev_newBlock', [])).result)
    await answered
  } finally {
    chain.call = call
  }
  const block = happened.indexOf('block')
  assert.ok(block > 0 && block < happened.lastIndexOf('request'), `after ${block} of ${happened.length - 1}`)
  for (const one of [dear, other]) one.socket.close()
})

test('a dry run of a contract that loops is refused a weight beyond a block, and takes what a block takes', async () => {
  const client = await opened()
  const loop = '105b600056' // Vec<u8>: JUMPDEST, PUSH1 0, JUMP
  const weight = (picoseconds) => `01${picoseconds}02093d00` // Some(ref_time, proof_size of a million)
  const dry = async (limit) => {
    const parts = [ALICE, '00'.repeat(16), limit, '00', '00', loop, '00', '00']
    const { result } = await client.ask('state_call', ['ReviveApi_instantiate', `0x${parts.join('')}`])
    return new Reader(hexToU8a(result)).big() // weight_consumed.ref_time
  }
  const unnamed = await dry('00')
  assert.equal(await dry(weight('13ffffffffffffff7f')), unnamed)
  assert.ok((await dry(weight('070010a5d4e8'))) <= 10n ** 12n) // one within a block's is left as it is
  client.socket.close()
})

test('a call of the runtime that takes too long is refused, and leaves the runtime usable', () => {
  const overlay = new Overlay(chain.state, chain.head.number)
  const metadata = (most) => execute(overlay.read(CODE), 'Metadata_metadata', '0x', overlay, { most })
  assert.throws(() => metadata(1), /more than 1 ms/)
  assert.ok(metadata(60_000).length > 100_000)
})

test('idle connections keep nobody out, and cost nobody a subscription', async () => {
  const kept = LIMITS.connections
  LIMITS.connections = 8
  try {
    const subscriber = await opened()
    const heads = (await subscriber.ask('chain_subscribeNewHeads', [])).result
    const idle = []
    for (let i = 0; i < 20; i += 1) idle.push(await opened())
    assert.ok((await post('{"id":1,"method":"system_health"}')).text.includes('result'))
    await Promise.all(idle.slice(0, 12).map((one) => one.closed))
    await chain.newBlock()
    await subscriber.heard((all) => all.some(({ params }) => params.subscription === heads))
    for (const one of [subscriber, ...idle]) one.socket.terminate()
    await Promise.all([subscriber, ...idle].map((one) => one.closed))
  } finally {
    LIMITS.connections = kept
  }
})

test('no request makes an answer of many copies of a large value', async () => {
  const client = await opened()
  const CODE = '0x3a636f6465'
  const many = Array(5000).fill(CODE)
  for (const [method, ...params] of [
    ['state_queryStorageAt', many],
    ['state_queryStorage', many, chain.head.hash],
    ['state_subscribeStorage', many],
  ]) {
    const { error } = await client.ask(method, params)
    assert.equal(error.code, 4002)
    assert.match(error.message, /bytes of values/)
  }
  const keys = Array.from({ length: 10_000 }, (_, at) => `0x${at.toString(16).padStart(8, '0')}`)
  for (const code of [undefined, undefined, -32006]) {
    assert.equal((await client.ask('state_subscribeStorage', [keys])).error?.code, code)
  }
  const follow = (await client.ask('chainHead_v1_follow', [false])).result
  const items = Array(1000).fill({ key: CODE, type: 'hash' })
  const { operationId } = (await client.ask('chainHead_v1_storage', [follow, chain.head.hash, items])).result
  await client.heard((all) => all.some(({ params }) => params.result.event === 'operationWaitingForContinue'))
  const events = client.notifications.map(({ params }) => params.result)
  assert.ok(events.find((one) => one.operationId === operationId && one.items).items.length < 10)
  client.socket.close()
})

test('a follower that never lets go of a block is stopped', async () => {
  const client = await opened()
  const id = (await client.ask('chainHead_v1_follow', [false])).result
  await client.ask('dev_newBlock', [{ count: 513 }])
  await client.heard((all) => all.some(({ params }) => params.result.event === 'stop'))
  assert.equal((await client.ask('chainHead_v1_header', [id, chain.head.hash])).result, null)
  client.socket.close()
})

test('what a subscription tells comes behind the answer with its id, whatever else is answered meanwhile', async () => {
  const client = await opened()
  // what is no request is answered in fewer turns than a subscription before it
  for (const [id, method, params] of [
    [1001, 'chainHead_v1_follow', [true]],
    [1002, 'state_subscribeStorage', [['0x3a636f6465']]],
    [1003, 'chain_subscribeNewHeads', []],
  ]) {
    const order = []
    const heard = (data) => order.push(JSON.parse(data))
    client.socket.on('message', heard)
    client.socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
    client.socket.send('5')
    await client.ask('system_chain', [])
    client.socket.off('message', heard)
    const told = order.filter((one) => one.id === id || one.method)
    assert.ok(told.length >= 2, method)
    assert.equal(told[0].id, id, `${method} was told of before it was answered`)
    assert.ok(told.slice(1).every(({ params }) => params.subscription === told[0].result))
  }
  client.socket.terminate()
})

test('a watched extrinsic that the pool refuses is told as invalid, as a node tells it', async () => {
  const client = await opened()
  const { result, error } = await client.ask('transactionWatch_v1_submitAndWatch', ['0x1234'])
  assert.equal(error, undefined)
  await client.heard((all) => all.some(({ params }) => params.subscription === result))
  const [{ params }] = client.notifications
  assert.equal(params.result.event, 'invalid')
  assert.equal(params.result.error, 'Extrinsic bytes cannot be decoded')
  client.socket.terminate()
})
