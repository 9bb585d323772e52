// That the chain's final state says what a bundle says, as proofward/evidence/inclusion.py has it.
import type { Bundle } from './bundle.js'
import { equal, hex, Reader, utf8 } from './bytes.js'
import { type Check, check, said } from './check.js'
import { type Authorities, type Final, finalBlock } from './finality.js'
import { blake2, keccak256, sha256 } from './hashes.js'
import type { Certificate, Policy } from './policy.js'
import { LANES, LEVELS } from './protocol.js'
import { StorageProof } from './trie.js'

const KEYS = {
  genesis: '26aa394eea5630e07c48ae0c9558cef7a44704b568d21667356a5a050c118746b4def25cfda6ef3a00000000',
  now: 'f0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb',
  jobs: '1c88f06ceab6c17559377f12624f77d81c88f06ceab6c17559377f12624f77d8',
  models: 'c3640f626d80070f2da7a29935f3402fc3640f626d80070f2da7a29935f3402f',
  contracts: {
    ezkl: 'c3640f626d80070f2da7a29935f3402f1efb9b6b96c7b379817f9d6e10eec25d682705db4aa834e900',
    groth16: 'c3640f626d80070f2da7a29935f3402f1efb9b6b96c7b379817f9d6e10eec25d30e7211b8127418a01',
  },
  contested: '1c88f06ceab6c17559377f12624f77d87713d88e44ae38269eaa7ccbe8f5f2cd',
  measurements: '6310fed47319b658f9b8b2504e0d72ec4bcbec8bc6755473d819c383c9532339',
}
const UNREAD = "a proof of the chain's state is here and unread: give the chain's --spec"
const UNPROVEN = "the bundle proves nothing of the chain's state: its chain or node had no proof to give"

const CEREMONY = 2

const entry = (prefix: string, key: Uint8Array): string => prefix + hex(blake2(key, 16)) + hex(key)

/** What the chain's state says of a bundle; `certificate` is of the model's ceremony, where it has one. */
export interface Included {
  readonly checks: readonly Check[]
  readonly certificate: Certificate | null
}

const only = (...checks: Check[]): Included => ({ checks, certificate: null })

export function included(bundle: Bundle, policy: Policy): Included {
  const { authorities, proved } = policy
  if (proved !== null)
    return only(check('inclusion', true, `job, model, contract and measurement were each read with a proof: ${proved}`))
  if (!bundle.inclusion) return only(authorities ? check('inclusion', null, UNPROVEN) : said('inclusion', UNPROVEN))
  if (!authorities) return only(said('inclusion', UNREAD))
  let final: Final
  try {
    final = finalBlock(bundle.inclusion, bundle.inclusion.changes, authorities)
  } catch (error) {
    return only(check('finality', false, (error as Error).message))
  }
  const { header } = final
  const inputs = {
    block: hex(header.hash),
    'state root': hex(header.stateRoot),
    'first authorities': [...(authorities as Authorities).voters.keys()].join(' '),
    'changes of authorities': `${bundle.inclusion.changes.length}`,
  }
  const voted = `block ${header.number}, by ${final.weight} of ${final.total} authorities of set ${final.setId}`
  const told = check('finality', true, voted, inputs)
  let proof: StorageProof
  try {
    proof = new StorageProof(header.stateRoot, bundle.inclusion.nodes)
    const differing = differences(bundle, proof)
    if (differing.length)
      return only(told, check('inclusion', false, `the chain's state differs: ${differing.join(', ')}`))
  } catch (error) {
    return only(told, check('inclusion', false, (error as Error).message))
  }
  const where = `job, model, contract and measurement are in the state of block ${header.number}`
  const { setup, evidence } = modelOf(proof.value(entry(KEYS.models, bundle.job.model)) as Uint8Array)
  const transcript = setup[0] === CEREMONY ? evidence : null
  return {
    checks: [told, check('inclusion', true, where), delivery(bundle.job.id, proof, header.number)],
    certificate: transcript && { transcript, witness: `in the state of block ${header.number}` },
  }
}

/** Whether the job's client has shown that the sealed output does not open; the window may still be open. */
function delivery(job: Uint8Array, proof: StorageProof, block: number): Check {
  let contested: Uint8Array | null
  try {
    contested = proof.value(entry(KEYS.contested, job))
  } catch {
    return check('delivery', null, 'nothing proves whether the result was contested: export the evidence again')
  }
  if (!contested) return check('delivery', true, `nobody has contested the result by block ${block}`)
  return check('delivery', false, 'its client showed the chain that the output does not open')
}

function differences(bundle: Bundle, proof: StorageProof): string[] {
  const { job, model, worker } = bundle
  const found: string[] = []
  const genesis = proof.value(KEYS.genesis)
  if (!genesis || !equal(genesis, bundle.chain.genesis)) found.push('the genesis hash')
  const now = proof.value(KEYS.now)
  const latest = Math.max(worker.attestation.time, bundle.setupEvidence?.time ?? 0)
  if (!now || BigInt(latest) * 1000n > new Reader(now).long()) {
    found.push("the time, which is before the quote's")
  }
  found.push(...ofJob(bundle, proof.value(entry(KEYS.jobs, job.id))))
  found.push(...ofModel(bundle, proof.value(entry(KEYS.models, job.model))))
  const contract = proof.value(KEYS.contracts[model.lane])
  const wanted = `${hex(model.verifier)}${hex(keccak256(model.contractCode))}`
  if (!contract || hex(contract) !== wanted) found.push("the lane's contract")
  if (!proof.value(KEYS.measurements + hex(worker.measurement))) {
    found.push('the measurement, which is not on the allow-list')
  }
  return found
}

type Named = [name: string, same: boolean]
const unequal = (whose: string, fields: Named[]): string[] =>
  fields.filter(([, same]) => !same).map(([name]) => `${whose} ${name}`)

/** The fields of a job's record in their order (chain/pallets/jobs/src/types.rs). */
function ofJob({ job, result }: Bundle, stored: Uint8Array | null): string[] {
  if (!stored) return ['there is no such job']
  const reader = new Reader(stored)
  const hash = (): Uint8Array => reader.take(32)
  const accounts = (): void => {
    for (let left = reader.count(8); left > 0; left--) hash()
  }
  const [client, model, input] = [hash(), hash(), hash()]
  hash()
  accounts()
  reader.take(3 * 16)
  const deadline = reader.unsigned(4)
  const [minLevel, dev] = [reader.unsigned(1), reader.unsigned(1)]
  const submitted = reader.unsigned(4)
  reader.take(4)
  for (let i = 0; i < 3; i++) accounts()
  const differing = unequal("the job's", [
    ['client', equal(client, job.client)],
    ['model', equal(model, job.model)],
    ['input commitment', equal(input, job.inputCommitment)],
    ['min level', LEVELS[minLevel] === job.minLevel],
    ['allow dev setup', dev === Number(job.allowDevSetup)],
    ['deadline', deadline === job.deadline],
    ['submitted at', submitted === job.submittedAt],
  ])
  if (reader.unsigned(1) !== 2) return [...differing, 'the job is not accepted']
  const worker = hash()
  const level = reader.unsigned(1)
  const setup = setupOf(reader)
  const [output, proof, sealed] = [hash(), hash(), hash()]
  const block = reader.unsigned(4)
  if (reader.left) throw new Error('bytes are left behind a Job')
  const verdict = unequal("the verdict's", [
    ['worker', equal(worker, result.worker)],
    ['level', LEVELS[level] === result.level],
    ['setup', equal(setup, result.setup)],
    ['output commitment', equal(output, result.outputCommitment)],
    ['proof hash', equal(proof, sha256(result.proof))],
    ['sealed output hash', equal(sealed, sha256(result.sealedOutput))],
    ['block', block === result.block],
  ])
  return [...differing, ...verdict]
}

/** A setup's own bytes: one, or two for an attested one. */
function setupOf(reader: Reader): Uint8Array {
  const kind = reader.unsigned(1)
  if (kind > 2) throw new Error('a Job cannot be decoded: there is no such variant')
  return Uint8Array.of(kind, ...(kind === 1 ? [reader.unsigned(1)] : []))
}

function ofModel({ model, setupEvidence }: Bundle, stored: Uint8Array | null): string[] {
  if (!stored) return ['there is no such model']
  const record = modelOf(stored)
  const differing = unequal("the model's", [
    ['publisher', equal(record.publisher, model.publisher)],
    ['name', equal(record.name, utf8(model.name))],
    ['weights digest', equal(record.weights, model.weightsDigest)],
    ['manifest hash', equal(record.manifest, model.manifestHash)],
    ['lane', LANES[record.lane] === model.lane],
    ['vk hash', equal(record.vk, model.vkHash)],
    ['key hash', equal(record.key, model.keyHash)],
    ['circuit digest', equal(record.circuit, model.circuitDigest)],
  ])
  if (!setupEvidence || (record.evidence && equal(record.evidence, sha256(setupEvidence.quote)))) return differing
  return [...differing, "the setup's quote, which is not the one that the chain rests the model's keys on"]
}

/** A model's record (chain/pallets/models/src/types.rs); `evidence` is the hash of its quote or transcript. */
function modelOf(stored: Uint8Array) {
  const reader = new Reader(stored)
  const hash = (): Uint8Array => reader.take(32)
  const publisher = hash()
  const name = reader.take(reader.count(64))
  const [weights, manifest] = [hash(), hash()]
  for (let left = reader.count(8); left > 0; left--) reader.take(4)
  reader.take(4)
  const lane = reader.unsigned(1)
  const [vk, key, circuit] = [hash(), hash(), hash()]
  reader.take(16 + 4 + 16 + 4)
  const setup = setupOf(reader)
  if (option(reader)) reader.take(3 * 32)
  const evidence = option(reader) ? hash() : null
  reader.take(4)
  if (option(reader)) reader.take(4)
  reader.take(16)
  if (reader.left) throw new Error('bytes are left behind a Model')
  return { publisher, name, weights, manifest, lane, vk, key, circuit, setup, evidence }
}

function option(reader: Reader): boolean {
  const there = reader.unsigned(1)
  if (there > 1) throw new Error('an option is 0 or 1')
  return there === 1
}
