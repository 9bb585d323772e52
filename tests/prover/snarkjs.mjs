// Verdicts by snarkjs: {key, cases: [{proof, publics}]} on stdin, a list of booleans on stdout. What throws is refused.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(new URL('../../contracts/package.json', import.meta.url))
const { groth16 } = require('snarkjs')

const { key, cases } = JSON.parse(readFileSync(0, 'utf8'))
const verdicts = []
for (const { proof, publics } of cases) {
  let verdict = false
  try {
    verdict = await groth16.verify(key, publics, proof)
  } catch {
    verdict = false
  }
  verdicts.push(verdict)
}
process.stdout.write(JSON.stringify(verdicts))
process.exit(0)
