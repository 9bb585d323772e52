// Records of the chain in the index's own shape, so that a page shows both in the same words.
import type { Row } from '../index-api.js'
import { hex0x } from '../verify/bytes.js'
import type { Chain, Event } from './chain.js'
import { bytesOf, Choice, choiceOf, type Struct, structOf, type Value } from './values.js'

/** Entries of a map that are read at most. */
export const MANY = 1000
const MAX_SERVED = 32

/** A value in JSON's types, as proofward/chain/plain.py has it. */
export function plain(value: Value | undefined): unknown {
  if (value === null || value === undefined) return null
  if (value instanceof Uint8Array) return hex0x(value)
  if (value instanceof Choice) return value.content === null ? value.name : { [value.name]: plain(value.content) }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'bigint') {
    const exact = value >= -Number.MAX_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER
    return exact ? Number(value) : String(value)
  }
  return typeof value === 'object' ? rowOf(value) : value
}

const rowOf = (value: Struct): Row => Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]))
const label = (value: Value | undefined): string => choiceOf(value).name.toLowerCase()
const textOf = (value: Value | undefined): string => new TextDecoder().decode(bytesOf(value))

function setupOf(value: Value | undefined): string {
  const { name, content } = choiceOf(value)
  return content === null ? name.toLowerCase() : `${name.toLowerCase()} (${label(content)})`
}

/** How a kind of record is keyed, and read. */
interface Kind {
  readonly item: string
  readonly row: (record: Struct, chain: Chain, at: string, id: Uint8Array) => Row | Promise<Row>
}

export const KINDS = {
  worker: {
    item: 'Workers.Workers',
    row: async (one, chain, at, id) => ({
      ...rowOf(one),
      level: label(one.level),
      endpoint: textOf(one.endpoint),
      serving: await serving(chain, at, id),
    }),
  },
  model: {
    item: 'Models.Models',
    row: (one) => ({ ...rowOf(one), name: textOf(one.name), lane: label(one.lane), setup: setupOf(one.setup) }),
  },
  session: {
    item: 'InferenceSessions.Sessions',
    row: (one) => ({ ...rowOf(one), level: label(one.level), min_level: label(one.min_level) }),
  },
  job: { item: 'Jobs.Jobs', row: jobRow },
} as const satisfies Record<string, Kind>

export type RecordKind = keyof typeof KINDS

function jobRow(one: Struct): Row {
  const { name, content } = choiceOf(one.status)
  const status = content === null ? {} : structOf(content)
  return {
    ...rowOf(one),
    status: name.toLowerCase(),
    worker: plain(status.worker),
    level: status.level ? label(status.level) : null,
    setup: status.setup ? setupOf(status.setup) : null,
  }
}

/** A record at a block; null when its state has none. */
export async function readRecord(chain: Chain, at: string, kind: RecordKind, id: Uint8Array): Promise<Row | null> {
  const { item, row }: Kind = KINDS[kind]
  const found = await chain.query(at, item, [id])
  return found === null ? null : row(structOf(found), chain, at, id)
}

async function serving(chain: Chain, at: string, worker: Uint8Array): Promise<Row> {
  const keys = await chain.keys(at, 'Workers.Serving', MAX_SERVED, [worker])
  const models = keys.map((key) => key.slice(-32))
  const prices = await Promise.all(models.map((model) => chain.query(at, 'Workers.Served', [model, worker])))
  return Object.fromEntries(models.map((model, i) => [hex0x(model), plain(prices[i])]))
}

/** Allow-list, roots, policy and collateral, as the index has them. */
export async function readAttestation(chain: Chain, at: string): Promise<Row> {
  const entries = async (item: string, row: (key: Uint8Array, value: Value) => Row) => {
    const keys = await chain.keys(at, item, MANY)
    return Promise.all(keys.map(async (key) => row(key, await chain.item(at, item, key))))
  }
  const [measurements, roots, policy, collateral] = await Promise.all([
    entries('Attestation.Measurements', (key, value) => ({ id: hex0x(key.slice(-32)), label: textOf(value) })),
    entries('Attestation.Roots', (key, value) => ({
      id: hex0x(key.slice(-32)),
      level: label(structOf(value).level),
    })),
    chain.query(at, 'Attestation.Policy', [], true),
    entries('Attestation.Collateral', (key, value) => {
      const { encoded, expires_at } = structOf(value)
      return {
        fmspc: hex0x(key.slice(-7, -1)),
        authority: key.at(-1) === 0 ? 'Processor' : 'Platform',
        expires_at: plain(expires_at),
        bytes: bytesOf(encoded).length,
      }
    }),
  ])
  return {
    measurements: Object.fromEntries(measurements.map((one) => [one.id, one.label])),
    roots,
    policy: plain(policy),
    collateral,
  }
}

/** An event as the index has it, without what is of the block around it. */
export function eventRow({ pallet, name, fields }: Event): Row {
  const shown = plain(fields) ?? {}
  const named = typeof shown === 'object' && !Array.isArray(shown)
  return { pallet, name, fields: named ? shown : { value: shown } }
}
