import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { cryptoWaitReady } from '@polkadot/util-crypto'
import { DevChain } from './chain.mjs'
import { distinct, genesisBlock, readSpec } from './genesis.mjs'
import { Ledger } from './ledger.mjs'

await cryptoWaitReady()
const spec = readSpec(new URL('../chain/spec/proofward-dev.json', import.meta.url).pathname)
const log = () => {}

async function inDirectory(run) {
  const directory = mkdtempSync(join(tmpdir(), 'proofward-ledger-'))
  try {
    return await run(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const open = (directory, horizon) => DevChain.open(spec, { directory, blockTime: 60_000, log, horizon })

async function grow(chain, count) {
  for (let built = 0; built < count; built += 1) await chain.newBlock()
}

// Appends until the file may not grow, prints what happened, makes room, and appends once more.
const SCRIPT = `
  process.on('SIGXFSZ', () => {}) // so that a write beyond the limit fails instead
  const { Ledger } = await import('./ledger.mjs')
  const { execSync } = await import('node:child_process')
  const { randomBytes } = await import('node:crypto')
  const hash = (number) => '0x' + number.toString(16).padStart(64, '0')
  const block = (number) => ({ number, hash: hash(number), header: '0x', extrinsics: [randomBytes(500).toString('hex')] })
  const ledger = await Ledger.open(block(0), process.argv[1], () => {})
  try {
    while (ledger.height < 1000) ledger.append(block(ledger.height + 1))
  } catch (error) {
    console.log(JSON.stringify({ name: error.constructor.name, message: error.message, height: ledger.height }))
  }
  execSync('prlimit --fsize=unlimited --pid ' + process.pid)
  ledger.append(block(ledger.height + 1))
  ledger.close()
`

test('a full disk costs the block that did not fit, and no other', () =>
  inDirectory(async (directory) => {
    const command = ['--fsize=9000:unlimited', process.execPath, '--input-type=module', '-e', SCRIPT, directory]
    const done = spawnSync('prlimit', command, { cwd: new URL('.', import.meta.url), encoding: 'utf8' })
    assert.equal(done.status, 0, done.stderr)
    const { name, message, height } = JSON.parse(done.stdout)
    assert.equal(name, 'LedgerError')
    assert.match(message, /cannot be written .*EFBIG.*make room/)
    assert.ok(height > 3 && height < 15)
    const numbers = []
    const genesis = { number: 0, hash: `0x${'0'.repeat(64)}`, header: '0x', extrinsics: [] }
    const ledger = await Ledger.open(genesis, directory, ({ number }) => numbers.push(number))
    assert.deepEqual(
      numbers,
      Array.from({ length: height + 1 }, (_, i) => i + 1),
    )
    ledger.close()
  }))

test('a block is read back as it was written, whatever is still in memory', () =>
  inDirectory(async (directory) => {
    for (const place of [directory, undefined]) {
      const chain = await open(place)
      const blocks = [chain.head]
      for (let built = 0; built < 300; built += 1) blocks.push(structuredClone(await chain.newBlock()))
      for (const { number, hash, header, extrinsics } of blocks) {
        assert.equal(chain.hashAt(number), hash)
        for (const found of [chain.byHash(hash), chain.byHeight(number)]) {
          assert.deepEqual(
            [found.number, found.hash, found.header, found.extrinsics],
            [number, hash, header, extrinsics],
          )
        }
      }
      assert.equal(chain.byHeight(301), undefined)
      await chain.close()
    }
  }))

test('an empty block costs the disk and the memory a few hundred bytes', () =>
  inDirectory(async (directory) => {
    const chain = await open(directory)
    await grow(chain, 10)
    const size = () => statSync(join(directory, 'blocks.jsonl')).size
    const before = size()
    await grow(chain, 100)
    assert.ok((size() - before) / 100 < 600, `${(size() - before) / 100} bytes`)
    await chain.close()
  }))

test('a ledger of the first format goes on, and one of another chain is refused', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'blocks.jsonl')
    const first = await open(directory)
    await grow(first, 5)
    const blocks = [1, 2, 3, 4, 5].map((number) => first.byHeight(number))
    await first.close()
    const old = [{ format: 'proofward/devnet/v1', genesis: first.genesis.hash }, ...blocks]
    writeFileSync(path, old.map((line) => `${JSON.stringify(line)}\n`).join(''))
    const second = await open(directory)
    await grow(second, 3)
    const { hash } = second.head
    await second.close()
    assert.equal(JSON.parse(readFileSync(path, 'utf8').split('\n')[0]).format, 'proofward/devnet/v2')
    const third = await open(directory)
    assert.deepEqual([third.head.number, third.head.hash, third.byHeight(3).hash], [8, hash, blocks[2].hash])
    await third.close()
    const other = DevChain.open(distinct(spec), { directory, blockTime: 60_000, log })
    await assert.rejects(other, /holds another chain/)
  }))

test('beyond the horizon a block tells what it set itself, and nothing that it may have wrong', async () => {
  const chain = await open(undefined, 20)
  const NOW = '0xf0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb'
  const CODE = '0x3a636f6465'
  const times = []
  for (let built = 0; built < 60; built += 1) times.push(chain.state.read(NOW, (await chain.newBlock()).number))
  assert.equal(chain.state.oldest, 40)
  for (const [at, time] of times.entries()) assert.equal(chain.read(NOW, chain.byHeight(at + 1)), time)
  assert.equal(chain.read(CODE, chain.byHeight(39)), undefined)
  assert.equal(chain.read(CODE, chain.byHeight(40)), spec.genesis.raw.top[CODE])
  await chain.close()
})

test('a start from a snapshot knows what one from all blocks knows, and a broken or foreign snapshot is left alone', () =>
  inDirectory(async (directory) => {
    const snapshot = join(directory, 'state.snapshot')
    const state = (chain) =>
      JSON.stringify([
        chain.head,
        chain.state.oldest,
        chain.state.entries(chain.state.oldest),
        chain.state.entries(chain.head.number),
      ])
    const first = await open(directory, 20)
    await grow(first, 70)
    const expected = state(first)
    await first.close()
    const kept = readFileSync(snapshot)
    const begun = async () => {
      const chain = await open(directory, 20)
      const found = state(chain)
      assert.equal(chain.byHeight(3).hash, first.byHeight(3).hash)
      await chain.close()
      return found
    }
    assert.equal(await begun(), expected)
    assert.ok(existsSync(snapshot))
    for (const bytes of [kept.subarray(0, 500), Buffer.from('x'), Buffer.alloc(0)]) {
      writeFileSync(snapshot, bytes)
      assert.equal(await begun(), expected)
    }
    rmSync(snapshot)
    assert.equal(await begun(), expected)
    // of blocks that the log does not have
    const path = join(directory, 'blocks.jsonl')
    writeFileSync(path, `${readFileSync(path, 'utf8').split('\n').slice(0, 11).join('\n')}\n`)
    writeFileSync(snapshot, kept)
    const short = await open(directory, 20)
    assert.equal(short.head.number, 10)
    assert.ok(!existsSync(snapshot))
    await short.close()
  }))

test('an ephemeral chain has a genesis of its own, and otherwise the same state', () => {
  const plain = genesisBlock(spec)
  const [one, other] = [genesisBlock(distinct(spec)), genesisBlock(distinct(spec))]
  assert.equal(new Set([plain.hash, one.hash, other.hash]).size, 3)
  assert.equal(one.changes.length, plain.changes.length + 1)
  assert.equal(genesisBlock(spec).hash, plain.hash)
})
