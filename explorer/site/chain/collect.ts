// A job's evidence from a node, byte by byte, into a bundle; nothing is concluded here but what the node says.
//
// What can be asked at once is asked at once: a reader waits for round trips, one after another.
import type { Bundle, QuotePart } from '../verify/bundle.js'
import { equal, hex, hex0x, Reader, unhex, utf8 } from '../verify/bytes.js'
import { type Check, check } from '../verify/check.js'
import { familyOf } from '../verify/dcap.js'
import { sha256 } from '../verify/hashes.js'
import type { Policy } from '../verify/policy.js'
import { type Lane, receiptMessage, verifySignature } from '../verify/protocol.js'
import type { Level } from '../verify/roots.js'
import { argument, type Call, type Chain, type Event, type Head } from './chain.js'
import { amountOf, bytesOf, type Choice, choiceOf, numberOf, type Struct, structOf, type Value } from './values.js'
import { NodeError } from './wire.js'

export interface Collected {
  readonly bundle: Bundle
  /** Measurements (hex) on the chain's allow-list when the verdict was given. */
  readonly measurements: ReadonlySet<string>
  /** Models (hex) whose ceremony the chain certifies. */
  readonly certified: Policy['certified']
  /** What the node's own records say of each other: record, inclusion, payment. */
  readonly checks: readonly Check[]
  /** That the result does not open, if the job's client has shown so. */
  readonly delivery: readonly Check[]
  readonly times: ReadonlyMap<number, number>
}

/** Files of an artefact's public half by its manifest's hash (hex), from wherever; their hashes are compared. */
export type Artefacts = (manifestHash: string) => Promise<ReadonlyMap<string, Uint8Array>>

const MEASUREMENTS = 1000

/** A job that has no accepted result; says how it stands. */
export class NotAccepted extends Error {}

export async function collect(node: Chain, job: Uint8Array, artefacts: Artefacts): Promise<Collected> {
  const newest = await node.headHash()
  const [head, found, contested] = await Promise.all([
    node.finalised(),
    node.query(newest, 'Jobs.Jobs', [job]),
    node.query(newest, 'Jobs.Contested', [job]),
  ])
  if (found === null) throw new NodeError(`the chain of ${node.name} has no job ${hex0x(job)} (any more)`)
  const record = structOf(found)
  const status = choiceOf(record.status)
  if (status.name !== 'Accepted')
    throw new NotAccepted(`the job is ${status.name.toLowerCase()}: there is no result to verify`)
  const verdict = structOf(status.content)
  const block = numberOf(verdict.block)
  const modelId = bytesOf(record.model)
  const [at, stored, name, type] = await Promise.all([
    node.blockHash(block),
    node.query(newest, 'Models.Models', [modelId]),
    node.rpc('system_chain'),
    node.rpc('system_chainType'),
  ])
  if (stored === null) throw new NodeError(`the chain has no model ${hex0x(modelId)} any more`)
  const model = structOf(stored)
  const modelPart = modelOf(node, at, model, artefacts)
  const setupEvidence = setupOf(node, model)
  // Whoever waits for them below hears of a fault, unless another one came first.
  for (const one of [modelPart, setupEvidence]) one.catch(() => {})
  const [calls, events, registration, allowed, time] = await Promise.all([
    node.calls(at),
    node.events(at),
    node.query(at, 'Workers.Workers', [bytesOf(verdict.worker)]),
    node.keys(at, 'Attestation.Measurements', MEASUREMENTS),
    node.timestamp(at),
  ])
  if (registration === null) throw new NodeError('the chain had no such worker when the verdict was given')
  const delivery = calls.find(
    (one) =>
      isCall(one, 'Jobs', 'complete') &&
      equal(sha256(argument(one, 'sealed_output')), bytesOf(verdict.sealed_output_hash)),
  )
  if (!delivery) throw new NodeError(`block ${block} has no result of this job: ask an archive node`)
  const facts = { node, job, record, verdict, block, at, model, delivery }
  const worker = await workerOf(facts, structOf(registration))
  const kind = choiceOf(model.setup)
  const transcript = model.evidence_hash
  return {
    bundle: {
      chain: {
        genesis: unhex(node.genesis.slice(2)),
        name: String(name),
        type: typeof type === 'string' ? type : 'Custom',
      },
      job: {
        id: job,
        client: bytesOf(record.client),
        model: modelId,
        inputCommitment: bytesOf(record.input_commitment),
        minLevel: levelOf(record.min_level),
        allowDevSetup: record.allow_dev_setup === true,
        deadline: numberOf(record.deadline),
        submittedAt: numberOf(record.submitted_at),
      },
      result: {
        worker: bytesOf(verdict.worker),
        level: levelOf(verdict.level),
        setup: setupBytes(choiceOf(verdict.setup)),
        outputCommitment: bytesOf(verdict.output_commitment),
        proof: argument(delivery, 'proof'),
        sealedOutput: argument(delivery, 'sealed_output'),
        receiptBlock: numberOf(delivery.args.receipt_block),
        receiptSignature: argument(delivery, 'receipt_signature'),
        block,
      },
      model: await modelPart,
      worker,
      setupEvidence: await setupEvidence,
      inclusion: null,
    },
    measurements: new Set(allowed.map((key) => hex(key.subarray(-32)))),
    certified: new Map(
      kind.name === 'Ceremony' && transcript instanceof Uint8Array
        ? [[hex(modelId), { transcript, witness: node.witness }]]
        : [],
    ),
    checks: nodeChecks(facts, events, head),
    delivery: contested === null ? [] : [undelivered(structOf(contested))],
    times: new Map([[block, time]]),
  }
}

interface Facts {
  readonly node: Chain
  readonly job: Uint8Array
  readonly record: Struct
  readonly verdict: Struct
  readonly block: number
  readonly at: string
  readonly model: Struct
  readonly delivery: Call
}

const isCall = (one: Call, pallet: string, name: string): boolean => one.pallet === pallet && one.name === name

function levelOf(value: Value | undefined): Level {
  const { name } = choiceOf(value)
  if (name !== 'Simulated' && name !== 'Hardware')
    throw new Error(`the chain knows a level ${name} that this page does not`)
  return name.toLowerCase() as Level
}

function setupBytes({ name, content }: Choice): Uint8Array {
  if (name === 'Attested') return Uint8Array.of(1, levelOf(content) === 'hardware' ? 1 : 0)
  if (name === 'Dev') return Uint8Array.of(0)
  if (name === 'Ceremony') return Uint8Array.of(2)
  throw new Error(`the chain knows a setup ${name} that this page does not`)
}

/** The worker's record of the epoch whose key signed the receipt: the current one or the one before. */
async function workerOf(facts: Facts, newest: Struct): Promise<Bundle['worker']> {
  const { node, verdict } = facts
  let record = newest
  if (!verifySignature(bytesOf(newest.receipt_key), messageOf(facts), argument(facts.delivery, 'receipt_signature'))) {
    const before = await node.blockHash(numberOf(newest.registered_at) - 1)
    const earlier = await node.query(before, 'Workers.Workers', [bytesOf(verdict.worker)])
    if (earlier !== null) record = structOf(earlier)
  }
  const registered = numberOf(record.registered_at)
  const included = await node.blockHash(registered)
  const held = collateralOf(node, included)
  const calls = (await node.calls(included)).reverse()
  const mine = (name: string) =>
    calls.find(
      (one) =>
        isCall(one, 'Workers', name) &&
        one.signer &&
        equal(one.signer, bytesOf(verdict.worker)) &&
        equal(argument(one, 'receipt_key'), bytesOf(record.receipt_key)),
    )
  const call = mine('renew') ?? mine('register')
  if (!call) throw new NodeError(`block ${registered} has no registration of this worker: ask an archive node`)
  const [attestation, blockHash] = await Promise.all([
    quoteOf(node, argument(call, 'quote'), included, held),
    node.blockHash(numberOf(call.args.block)),
  ])
  return {
    level: levelOf(record.level),
    measurement: bytesOf(record.measurement),
    hpkeKey: bytesOf(record.hpke_key),
    receiptKey: bytesOf(record.receipt_key),
    epoch: numberOf(record.epoch),
    quoteHash: bytesOf(record.quote_hash),
    blockHash: unhex(blockHash.slice(2)),
    attestation,
  }
}

function messageOf({ node, job, record, verdict, model, delivery }: Facts): Uint8Array {
  const hashes = [
    unhex(node.genesis.slice(2)),
    job,
    record.model,
    verdict.worker,
    model.weights_digest,
    record.input_commitment,
    verdict.output_commitment,
    verdict.sealed_output_hash,
    verdict.proof_hash,
  ]
  return receiptMessage({
    hashes: hashes.map((one) => bytesOf(one)),
    level: levelOf(verdict.level),
    setup: setupBytes(choiceOf(verdict.setup)),
    block: numberOf(delivery.args.receipt_block),
  })
}

interface Held {
  readonly keys: readonly Uint8Array[]
  /** Unix milliseconds of the block. */
  readonly time: number
}

/** Of which platforms the chain held collateral at a block, and when that was. */
function collateralOf(node: Chain, at: string): Promise<Held> {
  const found = Promise.all([node.keys(at, 'Attestation.Collateral', MEASUREMENTS), node.timestamp(at)])
  const held = found.then(([keys, time]) => ({ keys, time }))
  held.catch(() => {}) // whoever waits for it hears of it
  return held
}

/** A quote with the collateral that the chain held for its platform at a block, and the block's time. */
async function quoteOf(node: Chain, quote: Uint8Array, at: string, held: Promise<Held>): Promise<QuotePart> {
  const { fmspc, authority } = familyOf(quote)
  // The pallet's key: root, family of platforms, and the authority (0 processor, 1 platform).
  const tail = `${fmspc}${authority === 'processor' ? '00' : '01'}`
  const { keys, time } = await held
  const key = keys.find((one) => hex(one).endsWith(tail))
  if (!key) throw new NodeError(`the chain held no collateral for platform ${fmspc} at that block`)
  const stored = structOf(await node.query(at, 'Attestation.Collateral', [key.subarray(-39)]))
  return { quote, collateral: bytesOf(stored.encoded), time: Math.floor(time / 1000) }
}

async function modelOf(node: Chain, at: string, model: Struct, artefacts: Artefacts): Promise<Bundle['model']> {
  const files = artefacts(hex(bytesOf(model.manifest_hash)))
  files.catch(() => {}) // it is waited for below
  const lane = choiceOf(model.lane).name.toLowerCase() as Lane
  const contract = await node.query(at, 'Models.Verifiers', [Uint8Array.of(lane === 'ezkl' ? 0 : 1)])
  if (contract === null) throw new NodeError(`the ${lane} lane had no contract when the verdict was given`)
  const address = bytesOf(structOf(contract).address)
  const code = new Reader(await node.call(at, 'ReviveApi_code', address))
  return {
    publisher: bytesOf(model.publisher),
    name: new TextDecoder().decode(bytesOf(model.name)),
    lane,
    weightsDigest: bytesOf(model.weights_digest),
    manifestHash: bytesOf(model.manifest_hash),
    vkHash: bytesOf(model.vk_hash),
    circuitDigest: bytesOf(model.circuit_digest),
    keyHash: bytesOf(model.key_hash),
    verifier: address,
    contractCode: code.take(code.count(1 << 20)),
    files: await files,
  }
}

async function setupOf(node: Chain, model: Struct): Promise<Bundle['setupEvidence']> {
  if (choiceOf(model.setup).name !== 'Attested') return null
  const included = await node.blockHash(numberOf(model.published_at))
  const held = collateralOf(node, included)
  for (const call of await node.calls(included)) {
    if (!isCall(call, 'Models', 'publish')) continue
    const evidence = choiceOf(call.args.evidence)
    if (evidence.name !== 'Attested') continue
    const { quote, block } = structOf(evidence.content)
    if (model.evidence_hash === null || !equal(sha256(bytesOf(quote)), bytesOf(model.evidence_hash))) continue
    const [attestation, blockHash] = await Promise.all([
      quoteOf(node, bytesOf(quote), included, held),
      node.blockHash(numberOf(block)),
    ])
    return { ...attestation, blockHash: unhex(blockHash.slice(2)) }
  }
  return null
}

/** Whether the chain's record, the extrinsic and the events of the block agree; all of them are the node's word. */
function nodeChecks(
  { node, job, record, verdict, block, at, delivery }: Facts,
  events: readonly Event[],
  head: Head,
): Check[] {
  const final = check(
    'finality',
    block <= head.number,
    `verdict in block ${block} (${at}), finalised head ${head.number}: ${node.witness}`,
  )
  const hashes: [string, Uint8Array, Uint8Array][] = [
    ['proof', sha256(argument(delivery, 'proof')), bytesOf(verdict.proof_hash)],
    ['sealed output', sha256(argument(delivery, 'sealed_output')), bytesOf(verdict.sealed_output_hash)],
    ['output commitment', argument(delivery, 'output_commitment'), bytesOf(verdict.output_commitment)],
    ['worker', delivery.signer ?? utf8(''), bytesOf(verdict.worker)],
    ['job', argument(delivery, 'job'), job],
  ]
  const differs = hashes.filter(([, ours, theirs]) => !equal(ours, theirs)).map(([name]) => name)
  const inputs = Object.fromEntries(
    hashes.map(([name, ours, theirs]) => [name, `${hex(ours)} in the extrinsic, ${hex(theirs)} in the record`]),
  )
  const agreed = check(
    'record',
    differs.length === 0,
    differs.length
      ? `extrinsic and record differ in ${differs.join(', ')}`
      : 'the extrinsic in the block is the one that the record describes',
    inputs,
  )
  return [final, agreed, payment(job, record, verdict, events)]
}

/** What the chain took from the worker, in the words of `proofward verify`. */
function undelivered({ block, fault, slashed }: Struct): Check {
  const lost = unit(amountOf(slashed))
  const told = `its client showed in block ${numberOf(block)} that the output does not open (${choiceOf(fault).name}); the worker lost ${lost}`
  return check('delivery', false, told)
}

function payment(job: Uint8Array, record: Struct, verdict: Struct, events: readonly Event[]): Check {
  const price = amountOf(record.price)
  const found = events.find(
    (one) => one.pallet === 'Jobs' && one.name === 'Accepted' && equal(bytesOf(structOf(one.fields).job), job),
  )
  if (!found) return check('payment', false, "the verdict's block has no event that says who was paid")
  const { paid, royalty, worker } = structOf(found.fields)
  const [toWorker, toPublisher] = [amountOf(paid), amountOf(royalty)]
  const good = toWorker + toPublisher <= price && equal(bytesOf(worker), bytesOf(verdict.worker))
  const told = `${unit(toWorker)} to the worker, ${unit(toPublisher)} to the publisher, of a price of ${unit(price)}`
  return check('payment', good, good ? told : `that is not what was held, or somebody else was paid: ${told}`, {
    price: unit(price),
    'to the worker': unit(toWorker),
    'to the publisher': unit(toPublisher),
  })
}

/** Plancks (10^-12) as people read them. */
export function unit(plancks: bigint): string {
  const digits = plancks.toString().padStart(13, '0')
  const whole = digits.slice(0, -12).replace(/\B(?=(\d{3})+$)/g, ',')
  const rest = digits.slice(-12).replace(/0+$/, '')
  return `${whole}${rest ? `.${rest}` : ''} UNIT`
}
