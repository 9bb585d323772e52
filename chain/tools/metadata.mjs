// Writes a runtime's metadata, version 15: node metadata.mjs RUNTIME.wasm METADATA
import { readFileSync, writeFileSync } from 'node:fs'
import { execute } from '../../devnet/executor.mjs'
import { Overlay, VersionedState } from '../../devnet/state.mjs'

const [wasmPath, metadataPath] = process.argv.slice(2)
const wasm = `0x${readFileSync(wasmPath).toString('hex')}`
const answer = execute(wasm, 'Metadata_metadata_at_version', '0x0f000000', new Overlay(new VersionedState(), 0))
// An option, and the length of what is in it: a compact number of four bytes.
const bytes = Buffer.from(answer.slice(2), 'hex')
if (bytes[0] !== 1 || (bytes[1] & 3) !== 2) throw new Error('the runtime gives no metadata of version 15')
writeFileSync(metadataPath, bytes.subarray(5))
