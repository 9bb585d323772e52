// Standard JSON in on stdin, standard JSON out on stdout, by the solc that package-lock.json pins.
// No imports are resolved from disk: every source stands in the input, so equal input gives equal code.
import { readFileSync } from 'node:fs'
import solc from 'solc'

const input = readFileSync(0, 'utf8')
process.stdout.write(solc.compile(input))
