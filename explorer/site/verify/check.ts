// One line of a verification, in the words of `proofward verify`.

/** What was compared, whether it held (null: nothing was compared), and the values or the reason. */
export interface Check {
  readonly name: string
  readonly ok: boolean | null
  readonly detail: string
  /** False for what is told and not checked, somebody's word: it decides nothing. */
  readonly required: boolean
  /** What was compared, for who wants to do it again. */
  readonly inputs: readonly Input[]
  /** Milliseconds that it took, with the checks that came of the same work. */
  readonly ms: number
}

export interface Input {
  readonly name: string
  readonly value: string
}

export type Inputs = Record<string, string>

export function check(name: string, ok: boolean | null, detail: string, inputs: Inputs = {}): Check {
  const listed = Object.entries(inputs).map(([key, value]) => ({ name: key, value }))
  return { name, ok, detail, required: true, inputs: listed, ms: 0 }
}

/** Somebody's word, repeated and not checked; `detail` says whose it is. */
export const said = (name: string, detail: string): Check => ({ ...check(name, null, detail), required: false })

/** `ok`, `REFUSED`, `not checked`, or `said` for somebody's word. */
export function word(one: Check): string {
  if (!one.required && one.ok === null) return 'said'
  return one.ok === null ? 'not checked' : one.ok ? 'ok' : 'REFUSED'
}
