// Outbreaks in published counts: EARS C2 (Hutwagner et al. 2003) over a noisy weekly series, as
// federation/proofward_federation/outbreak.py has it. It looks at what is published already.

const BASELINE = 7
const LAG = 2
export const THRESHOLD = 3
export const MAX_WEEKS = 10_000
export const MAX_CELLS = 4_096

/**
 * How many deviations each week is above its baseline; null while there is none. `series` and `deviation` (of the
 * published noise) are in ones. Throws for what is no series.
 */
export function scores(series: readonly number[], deviation: number): (number | null)[] {
  if (series.length > MAX_WEEKS || !series.every(Number.isFinite) || !(deviation >= 0))
    throw new Error(`a series has at most ${MAX_WEEKS} finite numbers, its noise a deviation of 0 or more`)
  return series.map((count, week) => {
    const first = week - LAG - BASELINE
    if (first < 0) return null
    const before = series.slice(first, week - LAG)
    const mean = before.reduce((sum, one) => sum + one, 0) / BASELINE
    const squares = before.reduce((sum, one) => sum + (one - mean) ** 2, 0)
    const least = Math.sqrt(Math.max(mean, 1) + deviation ** 2)
    return (count - mean) / Math.max(Math.sqrt(squares / (BASELINE - 1)), least)
  })
}

/** The weeks, from 0, whose score is above the threshold. */
export const alarms = (series: readonly number[], deviation: number, threshold = THRESHOLD): number[] =>
  scores(series, deviation).flatMap((score, week) => (score !== null && score > threshold ? [week] : []))

export interface Counts {
  readonly cells: readonly string[]
  /** By cell, then week. */
  readonly series: readonly (readonly number[])[]
}

/** Published counts as `proofward federation watch` takes them: a heading, then a row a week. Throws. */
export function readCounts(source: string): Counts {
  const lines = source.split(/\r?\n/).filter((line) => line.trim() !== '')
  const cells = (lines[0] ?? '').split(',').map((one) => one.trim().replace(/^"(.*)"$/, '$1'))
  if (lines.length < 2 || cells.length > MAX_CELLS || lines.length - 1 > MAX_WEEKS)
    throw new Error(`a table of counts has a heading, up to ${MAX_CELLS} cells, and up to ${MAX_WEEKS} weeks`)
  const weeks = lines.slice(1).map((line, i) => {
    const values = line.split(',').map((one) => (one.trim() === '' ? Number.NaN : Number(one)))
    if (values.length !== cells.length || !values.every(Number.isFinite))
      throw new Error(`line ${i + 2} has not a number for each of ${cells.length} cells`)
    return values
  })
  return { cells, series: cells.map((_, cell) => weeks.map((week) => week[cell] as number)) }
}
