import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { LockError, takeLock } from './lock.mjs'

function inDirectory(run) {
  const directory = mkdtempSync(join(tmpdir(), 'proofward-lock-'))
  return Promise.resolve(run(join(directory, 'lock'))).finally(() => rmSync(directory, { recursive: true }))
}

test('a lock whose file names a living process is stale when nobody holds it', () =>
  inDirectory((path) => {
    // as a chain leaves it in a container, where the next one has the same process id
    writeFileSync(path, String(process.pid))
    const release = takeLock(path)
    assert.equal(readFileSync(path, 'utf8'), String(process.pid))
    assert.throws(() => takeLock(path), LockError)
    release()
    takeLock(path)()
  }))

test('a lock is held while its process lives, and free as soon as it is killed', () =>
  inDirectory(async (path) => {
    const script =
      "const { takeLock } = await import('./lock.mjs'); takeLock(process.argv[1]); console.log(); setInterval(() => {}, 1000)"
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script, path], {
      cwd: new URL('.', import.meta.url),
    })
    await new Promise((resolve) => owner.stdout.once('data', resolve))
    assert.throws(() => takeLock(path), { message: String(owner.pid) })
    owner.kill('SIGKILL')
    await new Promise((resolve) => owner.once('exit', resolve))
    takeLock(path)()
  }))
