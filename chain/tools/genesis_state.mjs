// Runs a runtime's GenesisBuilder without a node: node genesis_state.mjs RUNTIME.wasm preset NAME
// prints the preset's JSON; node genesis_state.mjs RUNTIME.wasm build CONFIG.json prints the genesis storage as JSON.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

// The executor is a dependency of the development network, and of nothing else here.
const require = createRequire(new URL('../../devnet/package.json', import.meta.url))
const { emptyTaskHandler, runTask } = require('@acala-network/chopsticks-core')

const [wasmPath, command, argument] = process.argv.slice(2)
const wasm = `0x${readFileSync(wasmPath).toString('hex')}`
const handler = { ...emptyTaskHandler, getStorage: async () => undefined, getNextKey: async () => undefined }

async function call(name, parameter) {
  const task = { wasm, calls: [[name, [parameter]]], mockSignatureHost: false, allowUnresolvedImports: true, runtimeLogLevel: 2 }
  const answer = await runTask(task, handler)
  if ('Error' in answer) throw new Error(`${name}: ${answer.Error}`)
  return answer.Call
}

/** SCALE: compact length, then the bytes. */
function encode(bytes) {
  const n = bytes.length
  const length = n < 64 ? [n << 2] : n < 16384 ? [((n << 2) | 1) & 255, n >> 6] : [((n << 2) | 2) & 255, (n >> 6) & 255, (n >> 14) & 255, (n >> 22) & 255]
  return Buffer.concat([Buffer.from(length), bytes])
}

/** SCALE: the bytes behind a compact length. */
function decode(bytes) {
  const mode = bytes[0] & 3
  const size = mode === 0 ? 1 : mode === 1 ? 2 : 4
  return bytes.subarray(size)
}

const hex = (bytes) => `0x${bytes.toString('hex')}`
if (command === 'preset') {
  // An Option: the name, or nothing for the default.
  const name = argument === undefined ? Buffer.from([0]) : Buffer.concat([Buffer.from([1]), encode(Buffer.from(argument))])
  const { result } = await call('GenesisBuilder_get_preset', hex(name))
  const answer = Buffer.from(result.slice(2), 'hex')
  if (answer[0] !== 1) throw new Error(`the runtime has no preset ${argument}`)
  console.log(decode(answer.subarray(1)).toString())
} else if (command === 'build') {
  const { result, storageDiff } = await call('GenesisBuilder_build_state', hex(encode(readFileSync(argument))))
  if (result !== '0x00') throw new Error(`the runtime refused the genesis: ${Buffer.from(result.slice(4), 'hex')}`)
  console.log(JSON.stringify(Object.fromEntries(storageDiff.filter(([, value]) => value !== null))))
} else {
  throw new Error('usage: genesis_state.mjs RUNTIME.wasm preset [NAME] | build CONFIG.json')
}
// The executor keeps a worker alive.
process.exit(0)
