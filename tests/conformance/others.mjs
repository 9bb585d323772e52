// subxt and api-sidecar, which are programs of their own: `make conformance`. Each is asked the same of the embedded
// chain and of a real network of four validators, where its node is built; the answers have to be the same.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import test, { after, before } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ApiPromise, Keyring, WsProvider } from '@polkadot/api'
import { target } from './target.mjs'

const run = promisify(execFile)
const path = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url))
const SUBXT = process.env.PROOFWARD_SUBXT ?? path('build/subxt/debug/proofward-conformance-subxt')
const SIDECAR = path('tests/conformance/sidecar/node_modules/.bin/substrate-api-sidecar')
const PYTHON = path('.venv/bin/python')
const UNIT = 1_000_000_000_000n
const PATIENCE = 120_000
const NODE = 'proofward-chain'
const built = [path('build/bin'), ...(process.env.PATH ?? '').split(delimiter)].some((at) => existsSync(join(at, NODE)))
const skip = built || process.env.PROOFWARD_REAL ? false : `${NODE} is not built: make node`

let embedded
let real
let answers

before(async () => {
  embedded = await chain('embedded', await target())
  real = skip === false ? await chain('real', await network()) : null
  answers = new Map()
})

after(async () => {
  await embedded?.stop()
  await real?.stop()
})

// A chain with a sidecar beside it.
async function chain(name, { url, stop }) {
  const port = await free()
  const env = { ...process.env, SAS_SUBSTRATE_URL: url, SAS_EXPRESS_PORT: String(port), SAS_LOG_LEVEL: 'error' }
  const sidecar = spawn(process.execPath, [SIDECAR], { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const http = `http://127.0.0.1:${port}`
  const end = Date.now() + PATIENCE
  for (;;) {
    try {
      if ((await fetch(`${http}/node/version`)).ok) break
    } catch {
      // it does not listen yet
    }
    if (Date.now() > end || sidecar.exitCode !== null) throw new Error(`api-sidecar does not answer at ${http}`)
    await pause(200)
  }
  return {
    name,
    url,
    http,
    stop: async () => {
      sidecar.kill()
      await stop()
    },
  }
}

// The RPC node of four validators on this machine, or the node at PROOFWARD_REAL.
async function network() {
  if (process.env.PROOFWARD_REAL) return { url: process.env.PROOFWARD_REAL, stop: () => {} }
  const folder = join(mkdtempSync(join(tmpdir(), 'proofward-')), 'four')
  const verb = (...words) => run(PYTHON, ['-m', 'proofward.cli', 'network', ...words, '--folder', folder])
  const stop = async () => {
    await verb('down', '--delete')
    rmSync(join(folder, '..'), { recursive: true, force: true })
  }
  try {
    await verb('up')
    const { nodes } = JSON.parse((await verb('status', '--json')).stdout)
    return { url: nodes.find(({ name }) => name === 'rpc').url, stop }
  } catch (error) {
    await stop().catch(() => {})
    throw error
  }
}

const free = () =>
  new Promise((keep) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => keep(port))
    })
  })

// Ask of both chains, and compare.
async function same(question, ask) {
  const told = await ask(embedded)
  answers.set(question, told)
  if (real !== null) assert.deepEqual(await ask(real), told)
  return told
}

test('subxt: its three back ends give the same answers', async () => {
  const lines = await same('subxt', async ({ url }) => {
    const { stdout } = await run(SUBXT, [url], { timeout: 4 * PATIENCE })
    return stdout.trim().split('\n').map(JSON.parse)
  })
  assert.deepEqual(
    lines.map(({ backend }) => backend),
    ['legacy', 'chainHead', 'archive'],
  )
  const [{ answers: first }, ...others] = lines
  const refused = 'an account that cannot pay' // by an error, or by the subscription that was begun
  for (const { backend, answers: told } of others) {
    assert.deepEqual({ ...told, [refused]: '' }, { ...first, [refused]: '' }, backend)
    assert.match(told[refused], /Inability to pay some fees/, backend)
  }
  assert.deepEqual(first['a transfer'].seen, ['in block', 'final'])
  assert.ok(first['a transfer'].events.includes('Balances.Transfer'))
  assert.match(first['a call that fails'], /dispatch error: Arithmetic error: Underflow/)
  assert.match(first[refused], /1010/)
  assert.deepEqual(first.storage, { 'alice pays': true, 'nobody has': '0', 'alice in the map': true })
})

const get = async ({ http }, question) => {
  const reply = await fetch(http + question)
  return { status: reply.status, body: await reply.json() }
}
const post = async ({ http }, question, body) => {
  const headers = { 'content-type': 'application/json' }
  const reply = await fetch(http + question, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: reply.status, body: await reply.json() }
}
const without = ({ status, body: { at: _, ...rest } }) => ({ status, ...rest })

test('api-sidecar: the runtime and its pallets', async () => {
  const spec = await same('runtime', async (one) => {
    const { specName, specVersion, transactionVersion, properties } = (await get(one, '/runtime/spec')).body
    return { specName, specVersion, transactionVersion, properties }
  })
  assert.equal(spec.specName, 'proofward')
  assert.deepEqual(spec.properties.tokenSymbol, ['UNIT'])
  for (const pallet of ['balances', 'jobs', 'workers', 'federation']) {
    for (const part of ['consts', 'errors', 'events', 'dispatchables', 'storage']) {
      const told = await same(`${pallet} ${part}`, async (one) => without(await get(one, `/pallets/${pallet}/${part}`)))
      assert.equal(told.status, 200)
      assert.equal(told.pallet, pallet)
    }
  }
  const metadata = await same('metadata', async (one) => {
    const { body } = await get(one, '/runtime/metadata')
    return createHash('sha256').update(JSON.stringify(body)).digest('hex')
  })
  assert.equal(metadata.length, 64)
})

test('api-sidecar: an account, and one that is none', async () => {
  const { address } = new Keyring({ type: 'sr25519' }).addFromUri('//Nobody')
  const told = await same('balance', async (one) => without(await get(one, `/accounts/${address}/balance-info`)))
  assert.equal(told.free, '0')
  assert.equal(told.tokenSymbol, 'UNIT')
  const wrong = await same('no address', async (one) => {
    const { status, body } = await get(one, '/accounts/not-an-address/balance-info')
    return { status, message: body.message }
  })
  assert.equal(wrong.status, 400)
  const valid = await same('validate', async (one) => (await get(one, `/accounts/${address}/validate`)).body)
  assert.equal(valid.isValid, true)
  assert.equal(valid.ss58Prefix, '42')
})

// Sign, send by the sidecar, and give what it says of it in its block.
async function sent(one, amount) {
  const api = await ApiPromise.create({ provider: new WsProvider(one.url), noInitWarn: true })
  try {
    const keyring = new Keyring({ type: 'sr25519' })
    const [alice, bob] = [keyring.addFromUri('//Alice'), keyring.addFromUri('//Bob')]
    const call = api.tx.balances.transferKeepAlive(bob.address, amount)
    const signed = await call.signAsync(alice, { nonce: -1 })
    const fee = await post(one, '/transaction/fee-estimate', { tx: signed.toHex() })
    const first = Number((await get(one, '/blocks/head/header')).body.number)
    const { status, body } = await post(one, '/transaction', { tx: signed.toHex() })
    assert.equal(body.hash, signed.hash.toHex(), JSON.stringify(body))
    const end = Date.now() + PATIENCE
    for (let number = first; Date.now() < end; ) {
      const head = Number((await get(one, '/blocks/head/header')).body.number)
      for (; number <= head; number += 1) {
        const block = (await get(one, `/blocks/${number}`)).body
        const found = block.extrinsics.find(({ hash }) => hash === body.hash)
        if (found === undefined) continue
        const range = (await get(one, `/blocks?range=${number - 1}-${number}`)).body
        assert.deepEqual(
          range.map((each) => each.number),
          [String(number - 1), String(number)],
        )
        return {
          status,
          // its own arithmetic of fees, and its own encoding of the runtime's call, know no chain like this one
          estimate: fee.body.error ?? 'told',
          fee: found.info.error ?? 'told',
          method: found.method,
          signer: found.signature.signer.id,
          success: found.success,
          paysFee: found.paysFee,
          events: found.events.map(({ method }) => `${method.pallet}.${method.method}`),
          first: block.extrinsics[0].method,
          'first is unsigned': block.extrinsics[0].signature === null,
        }
      }
      await pause(200)
    }
    throw new Error(`${one.name}: the extrinsic came into no block`)
  } finally {
    await api.disconnect()
  }
}

test('api-sidecar: extrinsics, sent and found in their blocks', async () => {
  const good = await same('a transfer', (one) => sent(one, UNIT))
  assert.equal(good.success, true)
  assert.ok(good.events.includes('balances.Transfer'))
  assert.deepEqual(good.first, { pallet: 'timestamp', method: 'set' })
  const bad = await same('a call that fails', (one) => sent(one, 2n ** 100n))
  assert.equal(bad.success, false)
  assert.ok(bad.events.includes('system.ExtrinsicFailed'))
})

test('api-sidecar: what is refused', async () => {
  const broken = await same('no extrinsic', async (one) => {
    const { status, body } = await post(one, '/transaction', { tx: '0x1234' })
    return { status, error: body.error }
  })
  assert.equal(broken.error, 'Failed to parse transaction.')
  const future = await same('no block', async (one) => {
    const { status, body } = await get(one, '/blocks/4000000000')
    return { status, message: body.message }
  })
  assert.notEqual(future.status, 200)
})

test('api-sidecar: a network is told where there is one', { skip }, async () => {
  assert.equal((await get(real, '/node/network')).status, 200)
  assert.equal((await get(embedded, '/node/network')).status, 500) // it has no peer to be
})
