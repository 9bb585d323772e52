// The site's verifier, asked from elsewhere: a case a line on standard input, a verdict a line on standard output.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const site = join(dirname(fileURLToPath(import.meta.url)), '..', 'site')
const folder = mkdtempSync(join(tmpdir(), 'proofward-verifier-'))
const outfile = join(folder, 'verifier.mjs')
const parts = [
  'answer',
  'verify',
  'bundle',
  'bytes',
  'check',
  'collateral',
  'dcap',
  'finality',
  'manifest',
  'policy',
  'roots',
  'transcript',
  'outbreak',
  'exchange',
  'page',
  'two-receipts',
]
const contents = [...parts.map((name) => `verify/${name}`), 'chain/spec', 'chain/chain']
  .map((name) => `export * from './${name}.ts'`)
  .join('\n')
await build({
  stdin: { contents, resolveDir: site },
  bundle: true,
  format: 'esm',
  target: 'es2022',
  outfile,
  logLevel: 'error',
})
const verifier = await import(pathToFileURL(outfile))
rmSync(folder, { recursive: true })

const refusing = (work) => {
  try {
    return work()
  } catch (error) {
    return { error: error.message }
  }
}

const told = ({ word, checks }) => ({
  word,
  checks: checks.map((one) => [one.name, verifier.word(one), one.detail]),
})

async function bundle({ bundle, genesis, measurements, development, now, spec }) {
  const authorities = spec ? verifier.genesisAuthorities(spec) : null
  const pins = { genesis, measurements: measurements && new Set(measurements), development, authorities }
  try {
    const verdict = await verifier.verifyBundle(
      verifier.readBundle(bundle),
      verifier.policy({ ...pins, ...(now && { now }) }),
    )
    const checks = verdict.checks.map((one) => ({ ...one, word: verifier.word(one) }))
    return { word: verdict.word, checks }
  } catch (error) {
    return { error: error.message }
  }
}

/** A chain of states and runtimes that are given, which says what it was asked. */
class Told extends verifier.Chain {
  asked = []
  constructor({ newest, versions, metadata, storage }) {
    super()
    this.given = { versions, metadata, storage }
    if (newest !== undefined) this.keep(metadata[newest])
  }
  async rpc(method, ...params) {
    this.asked.push(method)
    if (method === 'state_getMetadata') return this.given.metadata[this.given.versions[params[0]]]
    if (method === 'state_getStorage') return this.given.storage[params[1]][params[0]] ?? null
    throw new Error(method)
  }
  async version(at) {
    return this.given.versions[at]
  }
}

const answers = {
  chain: async ({ reads, ...given }) => {
    const chain = new Told(given)
    const values = []
    for (const [at, item] of reads) values.push(await chain.query(at, item))
    return { values, asked: chain.asked }
  },
  bundle,
  quote: ({ quote, collateral, now, development }) =>
    refusing(() => {
      const roots = development ? verifier.DEVELOPMENT_ROOTS : verifier.PRODUCTION_ROOTS
      const decoded = verifier.decodeCollateral(verifier.unhex(collateral))
      const found = verifier.verifyQuote(verifier.unhex(quote), decoded, now, roots)
      return { root: found.root.name, status: found.status, measurement: verifier.hex(found.quote.measurement) }
    }),
  answer: ({ bundle, secrets }) =>
    refusing(() => {
      const read = verifier.readBundle(bundle)
      return verifier.openAnswer(read, verifier.replySecret(secrets, read.job.id))
    }),
  manifest: ({ manifest }) => refusing(() => ({ name: verifier.parseManifest(verifier.unhex(manifest)).name })),
  exchange: ({ file, measurements, development }) =>
    refusing(() => {
      const asked = { development, measurements: measurements && new Set(measurements) }
      const read = verifier.readExchange(Buffer.from(file, 'base64'))
      const verdict = verifier.verifyExchange(read, verifier.policy(asked))
      const checks = verdict.checks.map((one) => [one.name, verifier.word(one), one.detail])
      return { word: verdict.word, checks, plain: read.encryption && Buffer.from(read.request).toString() }
    }),
  page: ({ bundle, genesis, measurements, development }) =>
    refusing(() => {
      const pins = { genesis, measurements: measurements && new Set(measurements), development }
      return told(verifier.verifyPage(verifier.readPage(bundle), verifier.policy(pins)))
    }),
  receipts: ({ file, measurements, development }) =>
    refusing(() => {
      const asked = { development, measurements: measurements && new Set(measurements) }
      const read = verifier.readTwoReceipts(Buffer.from(file, 'base64'))
      return told(verifier.verifyTwoReceipts(read, verifier.policy(asked)))
    }),
  outbreak: ({ series, deviation, threshold, csv }) =>
    refusing(() =>
      csv === undefined
        ? {
            scores: verifier.scores(series, deviation),
            alarms: verifier.alarms(series, deviation, threshold),
          }
        : verifier.readCounts(csv),
    ),
  transcript: ({ transcript, vk, circuit, certified, keyHash, quote, measurements, word }) =>
    refusing(() => {
      const [data, key] = [verifier.unhex(transcript), verifier.unhex(vk)]
      const recorded = {
        circuit: verifier.unhex(circuit),
        vk: verifier.unhex(keyHash),
        certified: certified ? verifier.unhex(certified) : null,
        word,
      }
      const checks = [...verifier.transcriptChecks(data, key, recorded)]
      if (quote) {
        const asked = verifier.policy({ development: true, measurements: measurements && new Set(measurements) })
        checks.push(...verifier.enclaveChecks(verifier.quoteFile(quote), verifier.readTranscript(data), asked))
      }
      return { checks: checks.map((one) => [one.name, verifier.word(one), one.detail]) }
    }),
  believed: ({ origin }) => ({ told: verifier.believed(origin ?? verifier.SERVED) }),
  roots: () => ({ roots: verifier.DEVELOPMENT_ROOTS.map(({ name, level, der }) => [name, level, verifier.hex(der)]) }),
}

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line)
  process.stdout.write(`${JSON.stringify(await answers[question.kind](question))}\n`)
}
