// Phase 1 by snarkjs alone: {out, power, contributors} on stdin makes 2^power powers with a contribution of each name, and
// verifies them; {verify, r1cs} says whether snarkjs holds a file for sound, and what it reads of a circuit.
import { readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(new URL('../../contracts/package.json', import.meta.url))
const { curves, powersOfTau, r1cs } = require('snarkjs')

const request = JSON.parse(readFileSync(0, 'utf8'))
const said = {}
if (request.out) {
  const curve = await curves.getCurveFromName('bn128')
  const file = (i) => (i === request.contributors.length ? request.out : `${request.out}.${i}`)
  await powersOfTau.newAccumulator(curve, request.power, file(0))
  for (const [i, name] of request.contributors.entries()) {
    await powersOfTau.contribute(file(i), file(i + 1), name, `${Math.random()}${process.hrtime.bigint()}`)
    rmSync(file(i))
  }
}
if (request.verify) said.verified = await powersOfTau.verify(request.verify)
if (request.r1cs) {
  const info = await r1cs.info(request.r1cs)
  said.r1cs = { constraints: info.nConstraints, publics: info.nPubInputs, wires: info.nVars }
}
process.stdout.write(JSON.stringify(said))
process.exit(0)
