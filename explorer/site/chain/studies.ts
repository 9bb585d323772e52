// A study's rounds from the chain: terms, who took part, and the sums that were published, each under its hash.
import { concat, equal, hex0x, little, utf8 } from '../verify/bytes.js'
import { sha256 } from '../verify/hashes.js'
import type { Chain } from './chain.js'
import {
  amountOf,
  bytesOf,
  type Choice,
  choiceOf,
  listOf,
  numberOf,
  type Struct,
  structOf,
  type Value,
} from './values.js'
import { NodeError } from './wire.js'

const MAX_ROUNDS = 256

export interface Round {
  readonly number: number
  /** How many sites committed, and how many of them are in the sum. */
  readonly committed: number
  readonly present: number
  /** `waits`, `failed`, `published`. */
  readonly state: string
  /** SHA-256 over the values, of the record. */
  readonly hash: string | null
  /** The sums, compared with the hash; null when the chain's history does not have them. */
  readonly values: readonly bigint[] | null
}

export interface Study {
  readonly researcher: string
  readonly aggregator: string
  /** SHA-256 of the study's document. */
  readonly rule: Uint8Array
  readonly dimension: number
  /** Of each parameter's noise, in units. */
  readonly deviation: number
  readonly clip: bigint
  readonly cohort: number
  readonly rounds: readonly Round[]
  readonly sites: number
}

/** Read a study that goes on; `blocks` are where its sums were published, by round: a hint, checked by hash. */
export async function study(chain: Chain, id: Uint8Array, blocks: ReadonlyMap<number, number>): Promise<Study> {
  const head = await chain.finalised()
  const found = await chain.query(head.hash, 'Federation.Studies', [id])
  if (found === null)
    throw new NodeError(`the chain has no study ${hex0x(id)} (any more): its model's card has the whole transcript`)
  const record = structOf(found)
  const plan = structOf(record.plan)
  const count = Math.min(numberOf(record.next), MAX_ROUNDS)
  const rounds = await Promise.all(
    Array.from({ length: count }, async (_, number) => {
      const one = await chain.query(head.hash, 'Federation.Rounds', [id, little(number, 4)])
      return one === null ? null : roundOf(chain, id, number, structOf(one), blocks.get(number))
    }),
  )
  return {
    researcher: hex0x(bytesOf(record.researcher)),
    aggregator: hex0x(bytesOf(record.aggregator)),
    rule: bytesOf(plan.rule),
    dimension: numberOf(plan.dimension),
    deviation: Math.sqrt(Number(amountOf(plan.variance))),
    clip: amountOf(plan.clip),
    cohort: numberOf(plan.cohort),
    rounds: rounds.filter((one) => one !== null),
    sites: listOf(record.members).length,
  }
}

async function roundOf(
  chain: Chain,
  id: Uint8Array,
  number: number,
  record: Struct,
  block: number | undefined,
): Promise<Round> {
  const committed = listOf(record.committed).length
  const told = { number, committed, present: 0, hash: null, values: null }
  if (record.ending === null) return { ...told, state: 'waits' }
  const ending = choiceOf(record.ending)
  if (ending.name !== 'Published') return { ...told, state: 'failed' }
  const published = structOf(ending.content)
  const hash = bytesOf(published.values)
  return {
    ...told,
    state: 'published',
    present: committed - listOf(published.absent).length,
    hash: hex0x(hash),
    values: block === undefined ? null : await valuesOf(chain, id, number, block, hash),
  }
}

/** The values in the block's call, if they have the hash of the record; null where they are not there. */
async function valuesOf(
  chain: Chain,
  id: Uint8Array,
  number: number,
  block: number,
  hash: Uint8Array,
): Promise<bigint[] | null> {
  const calls = await chain.calls(await chain.blockHash(block))
  for (const { pallet, name, args } of calls) {
    if (pallet !== 'Federation' || name !== 'publish' || args.number !== number) continue
    if (!equal(bytesOf(args.study), id)) continue
    const values = wholeOf(choiceOf(args.values))
    if (values && equal(valuesHash(values), hash)) return values
  }
  return null
}

const wholeOf = (values: Choice): bigint[] | null =>
  values.name === 'Whole' ? listOf(values.content).map((one: Value) => amountOf(one)) : null

/** SHA-256 of the domain and each value as i64, little-endian. */
function valuesHash(values: readonly bigint[]): Uint8Array {
  const data = new Uint8Array(8 * values.length)
  const view = new DataView(data.buffer)
  values.forEach((value, i) => {
    view.setBigInt64(8 * i, value, true)
  })
  return sha256(concat(utf8('proofward/federation-values/v1'), data))
}

export interface Document {
  readonly name: string
  readonly kind: string
  readonly columns: readonly string[]
  readonly units: number
}

/** A study's document, whose hash its record has. Throws for another one. */
export function documentOf(source: Uint8Array, rule: Uint8Array): Document {
  if (!equal(sha256(source), rule)) throw new Error('it is not the document that this study was announced with')
  const { name, kind, columns, units } = JSON.parse(new TextDecoder().decode(source)) as Document
  if (!Array.isArray(columns) || !Number.isSafeInteger(units) || units < 1)
    throw new Error('it is no document of a study')
  return { name: String(name), kind: String(kind), columns: columns.map(String), units }
}
