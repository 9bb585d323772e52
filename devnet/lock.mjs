// One process per directory. The kernel holds the lock, and lets go of it however the process ends: a file that says
// who holds it may be as old as it likes, or from another container.
import { spawnSync } from 'node:child_process'
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'

export class LockError extends Error {}

// When a process began, as `ps` writes it; nothing when there is none.
function startOf(pid) {
  const { stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' })
  return stdout?.trim()
}

// Whether another process holds the file, where there is no flock: by its process id and start. A process of the same id
// that began at another time is another one.
function heldByOther(owner) {
  const [pid, ...start] = owner.split(' ')
  return owner !== '' && startOf(pid) !== '' && startOf(pid) === start.join(' ')
}

// Take the lock file at `path`: gives a function that lets go of it. Throws a LockError when another process has it.
export function takeLock(path) {
  const file = openSync(path, 'a+', 0o600)
  const owner = readFileSync(path, 'utf8')
  // the lock belongs to the open file, which the command shares with us, and outlives the command
  const { status, error } = spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', file] })
  if (error ? heldByOther(owner) : status !== 0) {
    closeSync(file)
    throw new LockError(owner.split(' ')[0] || 'unknown')
  }
  ftruncateSync(file)
  writeSync(file, `${process.pid}${error ? ` ${startOf(process.pid)}` : ''}`)
  return () => {
    ftruncateSync(file)
    closeSync(file)
  }
}
