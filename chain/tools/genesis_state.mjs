// Runs a runtime's GenesisBuilder without a node: node genesis_state.mjs RUNTIME.wasm preset NAME
// prints the preset's JSON; node genesis_state.mjs RUNTIME.wasm build CONFIG.json prints the genesis storage as JSON.
import { readFileSync } from 'node:fs'
import { execute } from '../../devnet/executor.mjs'
import { Reader, sized } from '../../devnet/scale.mjs'
import { Overlay, VersionedState } from '../../devnet/state.mjs'

const [wasmPath, command, argument] = process.argv.slice(2)
const wasm = `0x${readFileSync(wasmPath).toString('hex')}`
const genesis = new Overlay(new VersionedState(), 0)

// The answer's bytes; what the function writes is in `genesis`.
const call = (name, parameter) => Buffer.from(execute(wasm, name, hex(parameter), genesis).slice(2), 'hex')

const hex = (bytes) => `0x${Buffer.from(bytes).toString('hex')}`
if (command === 'preset') {
  // An Option: the name, or nothing for the default.
  const name = argument === undefined ? [0] : [1, ...sized(Buffer.from(argument))]
  const answer = call('GenesisBuilder_get_preset', name)
  if (answer[0] !== 1) throw new Error(`the runtime has no preset ${argument}`)
  console.log(new Reader(answer.subarray(1)).text())
} else if (command === 'build') {
  const answer = call('GenesisBuilder_build_state', sized(readFileSync(argument)))
  if (answer[0] !== 0) throw new Error(`the runtime refused the genesis: ${answer.subarray(2)}`)
  console.log(JSON.stringify(Object.fromEntries([...genesis.changes].filter(([, value]) => value !== null))))
} else {
  throw new Error('usage: genesis_state.mjs RUNTIME.wasm preset [NAME] | build CONFIG.json')
}
