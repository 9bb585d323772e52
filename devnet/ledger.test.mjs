import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'

// Appends until the file may not grow, prints what happened, makes room, and appends once more.
const SCRIPT = `
  process.on('SIGXFSZ', () => {}) // so that a write beyond the limit fails instead
  const { Ledger } = await import('./ledger.mjs')
  const { execSync } = await import('node:child_process')
  const block = (number) => ({ number, hash: 'h' + number, header: '0x', extrinsics: ['0x' + 'ab'.repeat(500)] })
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

test('a full disk costs the block that did not fit, and no other', () => {
  const directory = mkdtempSync(join(tmpdir(), 'proofward-ledger-'))
  try {
    const command = ['--fsize=9000:unlimited', process.execPath, '--input-type=module', '-e', SCRIPT, directory]
    const done = spawnSync('prlimit', command, { cwd: new URL('.', import.meta.url), encoding: 'utf8' })
    assert.equal(done.status, 0, done.stderr)
    const { name, message, height } = JSON.parse(done.stdout)
    assert.equal(name, 'LedgerError')
    assert.match(message, /cannot be written .*EFBIG.*make room/)
    assert.ok(height > 3 && height < 9)
    const lines = readFileSync(join(directory, 'blocks.jsonl'), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line))
    const numbers = Array.from({ length: height + 1 }, (_, i) => i + 1)
    assert.deepEqual(lines.slice(1).map((block) => block.number), numbers)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
