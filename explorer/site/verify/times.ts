// Times and blocks that evidence names: bounded by the reader's clock and by each other.
import type { Bundle } from './bundle.js'
import { type Check, check, said } from './check.js'
import type { Policy } from './policy.js'

/** Seconds by which the reader's clock may be behind the chain's. */
const CLOCK_SLACK = 600

/** A failed check when evidence of Unix time `at` is of the reader's future, else null. */
export function noYounger(name: string, at: number, policy: Policy): Check | null {
  if (at <= policy.now + CLOCK_SLACK) return null
  return check(name, false, `its quote is dated ${dateText(at)}, after the reader's now, ${dateText(policy.now)}`)
}

/** The blocks of a job's life come in the order that the chain demands; the rest is somebody's word. */
export function orderChecks({ job, result, worker }: Bundle, policy: Policy): Check[] {
  const blocks = [job.submittedAt, result.receiptBlock, result.block, job.deadline] as const
  const ordered = blocks.every((block, i) => i === 0 || (blocks[i - 1] as number) <= block)
  const [submitted, from, verdict, deadline] = blocks
  const told = `submitted in ${submitted}, worked from ${from} (signed), verdict in ${verdict}, deadline ${deadline}`
  const inputs = {
    submitted: `${submitted}`,
    'receipt (signed)': `${from}`,
    verdict: `${verdict}`,
    deadline: `${deadline}`,
  }
  return [
    check('block order', ordered, ordered ? told : `they are out of order: ${told}`, inputs),
    said('blocks', `but for the signed one, ${policy.witness}`),
    said(
      'quote time',
      `${dateText(worker.attestation.time)}: ${policy.witness}, within what certificates and collateral allow`,
    ),
  ]
}

export function dateText(at: number): string {
  // Python's datetime ends with the year 9999.
  return at < 253_402_300_800 ? `${new Date(at * 1000).toISOString().slice(0, 19)}+00:00` : `${at} s`
}
