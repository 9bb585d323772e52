// What snarkjs makes of our files: {ptau, r1cs, contributed} on stdin. It reads the circuit, and adds a contribution of its own to
// the powers, for which it reads them all and writes them again.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(new URL('../../contracts/package.json', import.meta.url))
const { powersOfTau, r1cs } = require('snarkjs')

const request = JSON.parse(readFileSync(0, 'utf8'))
const info = await r1cs.info(request.r1cs)
await powersOfTau.contribute(request.ptau, request.contributed, 'a test', 'entropy of a test')
process.stdout.write(JSON.stringify({ constraints: info.nConstraints, publics: info.nPubInputs, wires: info.nVars }))
process.exit(0)
