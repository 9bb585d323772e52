// Members, voters, notices and motions of a chain at one block, as its state has them.
import { hex0x } from '../verify/bytes.js'
import type { Chain, Head } from './chain.js'
import { bytesOf, Choice, choiceOf, listOf, numberOf, type Struct, structOf, type Value } from './values.js'

const MANY = 256

export interface Member {
  readonly account: string
  /** SHA-256 of the legal name. */
  readonly legalName: string
  readonly endpoint: string
  /** The session in which it was put out; null while it takes part. */
  readonly out: number | null
  /** Session keys from the next session on, by kind. */
  readonly keys: readonly [kind: string, key: string][]
  readonly validates: boolean
  /** Its weight among GRANDPA's voters by its keys now. */
  readonly weight: number
}

export interface Notice {
  readonly number: number
  readonly change: string
  readonly due: number
}

export interface Motion {
  readonly hash: string
  readonly call: string
  readonly threshold: number
  readonly ayes: readonly string[]
  readonly nays: readonly string[]
  readonly end: number
}

export interface Consortium {
  readonly head: Head
  readonly best: number
  readonly time: number
  readonly settings: readonly [name: string, value: string][]
  readonly session: number
  readonly setId: number
  readonly voters: readonly [key: string, weight: number][]
  readonly members: readonly Member[]
  /** Validators that are no members: only a chain without a consortium has them. */
  readonly others: readonly string[]
  readonly notices: readonly Notice[]
  readonly seats: readonly string[]
  readonly motions: readonly Motion[]
  readonly paused: readonly string[]
  readonly sudo: string | null
}

/** Read all of it at the newest finalised head. Throws NodeError, and Error for records of another version. */
export async function consortium(chain: Chain): Promise<Consortium> {
  const head = await chain.finalised()
  const read = (item: string, keys: Uint8Array[] = []) => chain.query(head.hash, item, keys, true)
  const [best, time, settings, session, setId, voters, validators, members, notices, seats, motions, paused, sudo] =
    await Promise.all([
      chain.rpc('chain_getHeader').then((found) => Number((found as { number: string }).number)),
      chain.timestamp(head.hash),
      read('Consortium.SettingsOf').then((found) => structOf(found)),
      read('Session.CurrentIndex').then((found) => numberOf(found)),
      read('Grandpa.CurrentSetId').then((found) => numberOf(found)),
      read('Grandpa.Authorities').then(votersOf),
      read('Session.Validators').then(accounts),
      entries(chain, head.hash, 'Consortium.Members'),
      entries(chain, head.hash, 'Consortium.Notices'),
      read('Council.Members').then(accounts),
      entries(chain, head.hash, 'Council.Voting'),
      chain.keys(head.hash, 'TxPause.PausedCalls', MANY),
      read('Sudo.Key'),
    ])
  const names = members.map(([key]) => hex0x(key.subarray(-32)))
  const keys = await Promise.all(
    members.map(([key]) => chain.query(head.hash, 'Session.NextKeys', [key.subarray(-32)])),
  )
  return {
    head,
    best,
    time,
    settings: Object.entries(settings).map(([name, value]) => [name.replaceAll('_', ' '), shown(value)]),
    session,
    setId,
    voters,
    members: members.map(([, value], i) =>
      memberOf(names[i] ?? '', structOf(value), keys[i] ?? null, validators, voters),
    ),
    others: validators.filter((one) => !names.includes(one)),
    notices: notices.map(([key, value]) => {
      const { change, due } = structOf(value)
      return {
        number: new DataView(key.slice(-4).buffer).getUint32(0, true),
        change: shown(change),
        due: numberOf(due),
      }
    }),
    seats,
    motions: await Promise.all(
      motions.map(async ([key, value]) => motionOf(key, structOf(value), await proposed(chain, head.hash, key))),
    ),
    paused: paused.map(pausedCall),
    sudo: sudo instanceof Uint8Array ? hex0x(sudo) : null,
  }
}

async function entries(chain: Chain, at: string, item: string): Promise<[key: Uint8Array, value: Value][]> {
  const metadata = await chain.metadata(at)
  if (!metadata.storage.has(item)) return []
  const keys = await chain.keys(at, item, MANY)
  return Promise.all(keys.map(async (key): Promise<[Uint8Array, Value]> => [key, await chain.item(at, item, key)]))
}

const accounts = (found: Value): string[] =>
  Array.isArray(found) ? found.map((one) => hex0x(bytesOf(one, 'an account'))) : []

function votersOf(found: Value): [string, number][] {
  return listOf(found).map((one) => {
    const [key, weight] = listOf(one)
    return [hex0x(bytesOf(key)), numberOf(weight)]
  })
}

function memberOf(
  account: string,
  fields: Struct,
  keys: Value,
  validators: readonly string[],
  voters: readonly [string, number][],
): Member {
  const standing = choiceOf(fields.standing)
  const named: [string, string][] =
    keys === null ? [] : Object.entries(structOf(keys)).map(([kind, key]) => [kind, shown(key)])
  const vote = named.find(([kind]) => kind === 'grandpa')?.[1]
  return {
    account,
    legalName: shown(fields.legal_name),
    endpoint: new TextDecoder().decode(bytesOf(fields.endpoint)),
    out: standing.name === 'Out' ? numberOf(structOf(standing.content).session) : null,
    keys: named,
    validates: validators.includes(account),
    weight: voters.find(([key]) => key === vote)?.[1] ?? 0,
  }
}

/** The call of a motion; nothing when its preimage is not there. */
async function proposed(chain: Chain, at: string, key: Uint8Array): Promise<string> {
  const found = await chain.query(at, 'Council.ProposalOf', [key.subarray(-32)])
  if (!(found instanceof Choice) || !(found.content instanceof Choice)) return 'unknown'
  return `${found.name}.${found.content.name} ${shown(found.content.content)}`
}

function motionOf(key: Uint8Array, votes: Struct, call: string): Motion {
  return {
    hash: hex0x(key.subarray(-32)),
    call,
    threshold: numberOf(votes.threshold),
    ayes: accounts(votes.ayes ?? null),
    nays: accounts(votes.nays ?? null),
    end: numberOf(votes.end),
  }
}

/** `Pallet.call` of a key: BLAKE2b-128 of both names, then each with its length. */
function pausedCall(key: Uint8Array): string {
  const data = key.subarray(48)
  const first = (data[0] ?? 0) >> 2
  const text = new TextDecoder()
  const second = (data[first + 1] ?? 0) >> 2
  return `${text.decode(data.subarray(1, 1 + first))}.${text.decode(data.subarray(first + 2, first + 2 + second))}`
}

const MOST = 600

/** A value of the chain as text, cut where it is long. */
export function shown(value: Value | undefined): string {
  const whole = described(value)
  return whole.length > MOST ? `${whole.slice(0, MOST)}… (${whole.length} characters)` : whole
}

function described(value: Value | undefined): string {
  if (value === null || value === undefined) return ''
  if (value instanceof Uint8Array) return hex0x(value)
  if (value instanceof Choice) return value.content === null ? value.name : `${value.name} ${described(value.content)}`
  if (Array.isArray(value)) return value.map(described).join(' ')
  if (typeof value === 'object')
    return Object.entries(value)
      .map(([name, one]) => `${name.replaceAll('_', ' ')}: ${described(one)}`)
      .join(', ')
  return String(value)
}
