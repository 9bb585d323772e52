// The chain's spec as a light client takes it: which chain, whom to ask, and a checkpoint.
//
// It is the one thing that the reader has from somebody he trusts; everything else is proved against it.
import { hex } from '../verify/bytes.js'
import { genesisAuthorities } from '../verify/finality.js'
import { sha256 } from '../verify/hashes.js'

export interface Checkpoint {
  readonly number: number
  readonly hash: string
}

export interface Spec {
  readonly name: string
  /** What the light client is given. */
  readonly text: string
  /** Who gave it, as a reader is told. */
  readonly origin: string
  /** SHA-256 of its bytes. */
  readonly digest: string
  readonly checkpoint: Checkpoint | null
}

/** The origin of a spec that the reader did not choose himself. */
export const SERVED = 'this explorer'

/** Whom a reader believes who has everything proved from a spec of this origin. */
export const believed = (origin: string): string =>
  origin === SERVED
    ? 'no server is believed but this explorer, which gave the spec: choose your own file at the foot of the page'
    : 'no server is believed'

/** What polkadot-omni-node reads of a spec and a light client takes for a parachain's. */
const PARACHAIN = ['relay_chain', 'para_id', 'relayChain', 'paraId']

/** Read a raw spec; `boot` are the nodes that this page may ask. Throws for what is none, or has no GRANDPA. */
export function readSpec(source: Uint8Array, origin: string, boot: readonly string[]): Spec {
  const given = new TextDecoder().decode(source)
  if (!genesisAuthorities(given))
    throw new Error('the chain of this spec has no GRANDPA, so nobody can prove what is final: read from a node')
  const spec = JSON.parse(given) as Record<string, unknown>
  for (const one of PARACHAIN) delete spec[one]
  if (!boot.length) throw new Error('this page knows no boot node that a browser can reach: give ?boot=/…/ws/p2p/…')
  return {
    name: String(spec.name).slice(0, 128),
    text: JSON.stringify({ ...spec, bootNodes: boot }),
    origin,
    digest: hex(sha256(source)),
    checkpoint: checkpointOf(spec.properties),
  }
}

function checkpointOf(properties: unknown): Checkpoint | null {
  const value = (properties as Record<string, unknown> | null)?.proofwardCheckpoint as Partial<Checkpoint> | undefined
  if (value === undefined || value === null) return null
  const { number, hash } = value
  if (!Number.isInteger(number) || Number(number) < 0 || !/^0x[0-9a-f]{64}$/.test(String(hash)))
    throw new Error("the spec's checkpoint is not a block's number and hash")
  return { number: Number(number), hash: String(hash) }
}
