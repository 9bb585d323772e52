// GRANDPA's word for a block, from the authorities of the chain's spec on: as proofward/consensus has it.
import type { FinalBlock } from './bundle.js'
import { concat, equal, hex, little, Reader, unhex } from './bytes.js'
import { decodeHeader, type Header, readHeader, readVoters, type Voters } from './header.js'
import { verifySignature } from './protocol.js'

const MAX_ANCESTORS = 4096
const MAX_VOTES = 2048
/** The storage key of `Grandpa.Authorities`. */
const AUTHORITIES = '0x5f9cc45b7a00c5899361e1c6099678dc5e0621c4869aa60c02be9adcc98a0d1d'

export interface Authorities {
  readonly voters: Voters
  readonly setId: number
}

export interface Final {
  readonly header: Header
  readonly weight: bigint
  readonly total: bigint
  readonly setId: number
}

const sum = (voters: Voters): bigint => [...voters.values()].reduce((total, weight) => total + weight, 0n)

/** The first authorities of a raw chain spec; null for a chain without GRANDPA. Throws for what is no spec. */
export function genesisAuthorities(source: string): Authorities | null {
  try {
    const stored = JSON.parse(source).genesis.raw.top[AUTHORITIES]
    if (stored === undefined || stored === '0x00') return null
    const reader = new Reader(unhex(stored.slice(2)))
    const voters = readVoters(reader)
    if (reader.left) throw new Error('bytes are left behind its authorities')
    return { voters, setId: 0 }
  } catch (error) {
    throw new Error(`it is not a chain's raw spec: ${(error as Error).message}`)
  }
}

/** The block, and who stands behind it. Throws at what does not follow from the first authorities. */
export function finalBlock(block: FinalBlock, changes: readonly FinalBlock[], first: Authorities): Final {
  let { voters, setId } = first
  let last = 0
  for (const one of changes) {
    const header = decodeHeader(one.header)
    checkJustification(one.justification, header, voters, setId)
    if (!header.nextAuthorities) throw new Error(`block ${header.number} changes no authorities`)
    if (header.number <= last) throw new Error('changes of authorities are not in the order of their blocks')
    last = header.number
    voters = header.nextAuthorities
    setId++
  }
  const header = decodeHeader(block.header)
  const weight = checkJustification(block.justification, header, voters, setId)
  return { header, weight, total: sum(voters), setId }
}

/** The weight behind a header. Throws for another block or set, a false vote, too few. */
function checkJustification(data: Uint8Array, header: Header, voters: Voters, setId: number): bigint {
  const reader = new Reader(data)
  const round = reader.take(8)
  const target = reader.take(32)
  const number = reader.unsigned(4)
  const votes = Array.from({ length: reader.count(MAX_VOTES) }, () => ({
    block: reader.take(32),
    number: reader.unsigned(4),
    signature: reader.take(64),
    voter: reader.take(32),
  }))
  const ancestors = new Map<string, Header>()
  for (let left = reader.count(MAX_ANCESTORS); left > 0; left--) {
    const one = readHeader(reader, data)
    ancestors.set(hex(one.hash), one)
  }
  if (reader.left) throw new Error('bytes are left behind a justification')
  if (!equal(target, header.hash) || number !== header.number) {
    throw new Error(`the justification is of block ${number}, not of block ${header.number}`)
  }
  const heard = new Set<string>()
  for (const vote of votes) {
    const voter = hex(vote.voter)
    if (!voters.has(voter)) throw new Error('a vote is of somebody who is no authority of this set')
    const said = concat(Uint8Array.of(1), vote.block, little(vote.number, 4), round, little(setId, 8))
    if (!verifySignature(vote.voter, said, vote.signature)) {
      throw new Error(`a vote is not signed by its authority in set ${setId}`)
    }
    requireDescent(vote.block, vote.number, header, ancestors)
    heard.add(voter)
  }
  const weight = [...heard].reduce((total, voter) => total + (voters.get(voter) ?? 0n), 0n)
  const needed = sum(voters) - (sum(voters) - 1n) / 3n
  if (weight < needed) throw new Error(`authorities of weight ${weight} voted where ${needed} are needed`)
  return weight
}

function requireDescent(block: Uint8Array, number: number, header: Header, ancestors: Map<string, Header>): void {
  let at = hex(block)
  let height = number
  while (at !== hex(header.hash)) {
    const one = ancestors.get(at)
    if (!one || one.number !== height || height <= header.number) {
      throw new Error('a vote is for no descendant of the block that it should finalise')
    }
    at = hex(one.parent)
    height--
  }
  if (height !== header.number) throw new Error('a vote gives its block another number')
}
