// Checks a runtime's wasm: it may import memory and host functions only, and must name its version.
// node check_wasm.mjs RUNTIME.wasm
import { readFileSync } from 'node:fs'

const module = new WebAssembly.Module(readFileSync(process.argv[2]))
const allowed = ({ module, name, kind }) =>
  module === 'env' && (kind === 'memory' ? name === 'memory' : kind === 'function' && name.startsWith('ext_'))
const strange = WebAssembly.Module.imports(module).filter((entry) => !allowed(entry))
if (strange.length > 0) {
  // --allow-undefined turns a missing symbol into an import; such a runtime traps when it is called.
  console.error('check_wasm: unexpected imports:', strange.map((entry) => `${entry.module}.${entry.name}`).join(', '))
  process.exit(1)
}
const sections = WebAssembly.Module.customSections(module, 'runtime_version')
if (sections.length !== 1 || sections[0].byteLength === 0) {
  console.error('check_wasm: no runtime_version section: nodes cannot tell which version this is')
  process.exit(1)
}
