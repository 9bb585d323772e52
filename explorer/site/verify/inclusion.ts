// That the chain's final state says what a bundle says, as proofward/evidence/inclusion.py has it.
import type { Bundle } from './bundle.js'
import { equal, hex, Reader, utf8 } from './bytes.js'
import { type Check, check, said } from './check.js'
import { type Authorities, type Final, finalBlock } from './finality.js'
import { blake2, keccak256, sha256 } from './hashes.js'
import type { Policy } from './policy.js'
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

const entry = (prefix: string, key: Uint8Array): string => prefix + hex(blake2(key, 16)) + hex(key)

export function inclusionChecks(bundle: Bundle, policy: Policy): Check[] {
  const { authorities, proved } = policy
  if (proved !== null)
    return [check('inclusion', true, `job, model, contract and measurement were each read with a proof: ${proved}`)]
  if (!bundle.inclusion) return [authorities ? check('inclusion', null, UNPROVEN) : said('inclusion', UNPROVEN)]
  if (!authorities) return [said('inclusion', UNREAD)]
  let final: Final
  try {
    final = finalBlock(bundle.inclusion, bundle.inclusion.changes, authorities)
  } catch (error) {
    return [check('finality', false, (error as Error).message)]
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
    if (differing.length) return [told, check('inclusion', false, `the chain's state differs: ${differing.join(', ')}`)]
  } catch (error) {
    return [told, check('inclusion', false, (error as Error).message)]
  }
  const where = `job, model, contract and measurement are in the state of block ${header.number}`
  return [told, check('inclusion', true, where), delivery(bundle.job.id, proof, header.number)]
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
  if (!now || BigInt(worker.attestation.time) * 1000n > new Reader(now).long()) {
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

/** The fields of a model's record up to its circuit (chain/pallets/models/src/types.rs). */
function ofModel({ model }: Bundle, stored: Uint8Array | null): string[] {
  if (!stored) return ['there is no such model']
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
  setupOf(reader)
  if (option(reader)) reader.take(3 * 32)
  if (option(reader)) hash()
  reader.take(4)
  if (option(reader)) reader.take(4)
  reader.take(16)
  if (reader.left) throw new Error('bytes are left behind a Model')
  return unequal("the model's", [
    ['publisher', equal(publisher, model.publisher)],
    ['name', equal(name, utf8(model.name))],
    ['weights digest', equal(weights, model.weightsDigest)],
    ['manifest hash', equal(manifest, model.manifestHash)],
    ['lane', LANES[lane] === model.lane],
    ['vk hash', equal(vk, model.vkHash)],
    ['key hash', equal(key, model.keyHash)],
    ['circuit digest', equal(circuit, model.circuitDigest)],
  ])
}

function option(reader: Reader): boolean {
  const there = reader.unsigned(1)
  if (there > 1) throw new Error('an option is 0 or 1')
  return there === 1
}
