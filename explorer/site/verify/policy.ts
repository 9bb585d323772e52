// What the reader of evidence accepts, and what he knows from elsewhere: his pins.
import type { Authorities } from './finality.js'
import { DEVELOPMENT_ROOTS, PRODUCTION_ROOTS, type TrustRoot } from './roots.js'

export const BUNDLE_WORD = "the bundle's own word"

/** `transcript`: the hash of a ceremony's transcript, or its last one; `witness`: what shows that the chain holds it. */
export interface Certificate {
  readonly transcript: Uint8Array
  readonly witness: string
}

export interface Policy {
  /** Admit the development root, level `simulated` and `setup: dev`. */
  readonly development: boolean
  /** Pins the chain (hex); null: not pinned. */
  readonly genesis: string | null
  /** Pins the software of worker and setup (hex); null: not pinned. */
  readonly measurements: ReadonlySet<string> | null
  /** What the reader's own chain certifies of ceremonies, by model (hex). */
  readonly certified: ReadonlyMap<string, Certificate>
  /** The first authorities of the reader's chain, from its spec: its final state must hold the evidence. */
  readonly authorities: Authorities | null
  /** How this browser read the evidence with proofs of the chain's final state; null: it did not. */
  readonly proved: string | null
  /** The reader's clock, Unix seconds: no evidence is younger. */
  readonly now: number
  /** Whose word an unproven statement is. */
  readonly witness: string
}

export function policy(changes: Partial<Policy> = {}): Policy {
  return {
    development: false,
    genesis: null,
    measurements: null,
    certified: new Map(),
    authorities: null,
    proved: null,
    now: Math.floor(Date.now() / 1000),
    witness: BUNDLE_WORD,
    ...changes,
  }
}

export const rootsOf = (one: Policy): readonly TrustRoot[] => (one.development ? DEVELOPMENT_ROOTS : PRODUCTION_ROOTS)
