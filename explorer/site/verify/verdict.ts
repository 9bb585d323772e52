// The one word that a list of checks comes to.
import type { Check } from './check.js'

export type Outcome = 'accepted' | 'consistent, not anchored' | 'incomplete' | 'refused'

// Checks against what the reader pins; only these may be open in evidence that is `consistent, not anchored`.
const ANCHORS = new Set(['chain', 'measurement allowed', 'setup measurement', 'key custody', 'upstream measurement'])

/** What all checks come to; a check that was not made counts as passed nowhere. */
export function outcomeOf(checks: readonly Check[]): Outcome {
  const needed = checks.filter((one) => one.required)
  if (checks.some((one) => one.ok === false)) return 'refused'
  const open = needed.filter((one) => one.ok === null)
  if (!needed.length || open.some((one) => !ANCHORS.has(one.name))) return 'incomplete'
  return open.length ? 'consistent, not anchored' : 'accepted'
}

/** A job's verdict. `flags` name what was simulated, set up by one party or not hiding. */
export interface Verdict {
  readonly job: string
  readonly flags: readonly string[]
  readonly checks: readonly Check[]
  readonly outcome: Outcome
  /** The outcome, with the flags: as the last line of `proofward verify`. */
  readonly word: string
}

export function verdictOf(job: string, flags: readonly string[], checks: readonly Check[]): Verdict {
  const outcome = outcomeOf(checks)
  return { job, flags, checks, outcome, word: outcome + (flags.length ? ` (${flags.join(', ')})` : '') }
}
