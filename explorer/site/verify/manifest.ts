// An artefact's manifest: canonical JSON of a known shape (proofward/zkml/manifest.py).
import { type Json, Num, parseCanonical } from './canonical.js'
import type { Lane } from './protocol.js'

export const MAX_MANIFEST_BYTES = 1 << 20

export interface Manifest {
  readonly name: string
  readonly lane: Lane
  readonly setup: string
  readonly weightsDigest: string
  readonly vkHash: string
  readonly circuitDigest: string
  readonly batch: number
  readonly features: number
  readonly outputs: number
  readonly output: {
    readonly scale: number
    readonly decision: string
    readonly labels: readonly string[] | null
    readonly names: readonly string[] | null
  }
  readonly accuracy: {
    readonly metric: string
    readonly records: number
    readonly float: number
    readonly integer: number
  }
  /** What the training library's own answers were compared on. */
  readonly expected: { readonly records: number; readonly digest: string } | null
  /** Path to SHA-256. */
  readonly files: ReadonlyMap<string, string>
  readonly laneParams: Json
}

type Fields = { [key: string]: Json }
type Read<T> = (value: Json) => T

class Wrong extends Error {
  constructor(
    readonly where: string,
    readonly why: string,
  ) {
    super(`manifest is not valid at ${where || 'top'}: ${why}`)
  }
}

function wrong(why: string): never {
  throw new Wrong('', why)
}

function at<T>(name: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof Wrong) throw new Wrong(error.where ? `${name}.${error.where}` : name, error.why)
    throw error
  }
}

/** An object of these fields and no others; those in `optional` may be absent. */
function record(
  value: Json,
  known: Record<string, Read<unknown>>,
  optional: readonly string[] = [],
): Record<string, unknown> {
  const fields = object(value)
  for (const name of Object.keys(fields))
    at(name, () => (Object.hasOwn(known, name) ? null : wrong('there is no such field')))
  const found: Record<string, unknown> = {}
  for (const [name, read] of Object.entries(known)) {
    if (name in fields) found[name] = at(name, () => read(fields[name] as Json))
    else if (!optional.includes(name)) at(name, () => wrong('it is missing'))
  }
  return found
}

const object: Read<Fields> = (value) =>
  value !== null && typeof value === 'object' && !Array.isArray(value) && !(value instanceof Num)
    ? value
    : wrong('an object is needed')
const text =
  (least: number, most: number): Read<string> =>
  (value) => {
    if (typeof value !== 'string') return wrong('text is needed')
    const length = Array.from(value).length
    return length >= least && length <= most ? value : wrong(`text of ${least} to ${most} letters is needed`)
  }
const anyText = text(0, Number.MAX_SAFE_INTEGER)
const matching =
  (pattern: RegExp): Read<string> =>
  (value) =>
    pattern.test(anyText(value)) ? (value as string) : wrong('text of another form is needed')
const oneOf =
  (...choices: string[]): Read<string> =>
  (value) =>
    choices.includes(value as string) ? (value as string) : wrong(`one of ${choices.join(', ')} is needed`)
const integer =
  (least: number, most: number): Read<number> =>
  (value) => {
    if (!(value instanceof Num) || !/^-?\d+$/.test(value.raw)) return wrong('a whole number is needed')
    return value.value >= least && value.value <= most
      ? value.value
      : wrong(`a number from ${least} to ${most} is needed`)
  }
const anyInteger = integer(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
const count = integer(0, Number.MAX_SAFE_INTEGER)
/** A float is written as one: 1.0, not 1. */
const float: Read<number> = (value) =>
  value instanceof Num && !/^-?\d+$/.test(value.raw) ? value.value : wrong('a number with a point is needed')
const positive: Read<number> = (value) => (float(value) > 0 ? float(value) : wrong('a number above 0 is needed'))
const flag: Read<boolean> = (value) => (typeof value === 'boolean' ? value : wrong('true or false is needed'))
const list =
  <T>(read: Read<T>, least: number, most: number): Read<T[]> =>
  (value) => {
    if (!Array.isArray(value) || value.length < least || value.length > most)
      return wrong(`a list of ${least} to ${most} is needed`)
    return value.map((one, i) => at(`${i}`, () => read(one)))
  }
const pair =
  (first: Read<unknown>, second: Read<unknown>): Read<unknown> =>
  (value) =>
    Array.isArray(value) && value.length === 2
      ? [first(value[0] as Json), second(value[1] as Json)]
      : wrong('a pair is needed')
const digest = matching(/^[0-9a-f]{64}$/)

const MAX_FEATURES = 16_384
const BOUND = 2 ** 40
const MANY = Number.MAX_SAFE_INTEGER
const features = (most: number) => integer(0, most)

function quantiser(value: Json): number {
  const { kind } = object(value)
  const common = {
    kind: oneOf('affine', 'thresholds'),
    imputed: list(pair(features(MAX_FEATURES - 1), float), 0, MAX_FEATURES),
    integers: oneTrue,
  }
  if (kind === 'affine') {
    const found = record(
      value,
      {
        ...common,
        scale: list(positive, 1, MAX_FEATURES),
        offset: list(float, 0, MAX_FEATURES),
        low: list(integer(-BOUND, BOUND), 0, MAX_FEATURES),
        high: list(integer(-BOUND, BOUND), 0, MAX_FEATURES),
        flags: list(features(MAX_FEATURES - 1), 0, MAX_FEATURES),
      },
      ['flags', 'imputed', 'integers'],
    ) as { scale: number[]; offset: number[]; low: number[]; high: number[]; flags?: number[] }
    const n = found.scale.length
    if ([found.offset, found.low, found.high].some((one) => one.length !== n))
      wrong('scale, offset, low and high must have one entry per feature')
    if (found.low.some((low, i) => low > (found.high[i] as number))) wrong('low <= high must hold within +-2^40')
    if (found.flags?.some((one, i, all) => one >= n || (i > 0 && one <= (all[i - 1] as number))))
      wrong('flags must be increasing numbers of features')
    return n
  }
  if (kind !== 'thresholds') return wrong('a quantiser is affine or of thresholds')
  const { thresholds, missing = [] } = record(
    value,
    {
      ...common,
      thresholds: list(list(float, 0, MANY), 1, MAX_FEATURES),
      missing: list(pair(features(MAX_FEATURES - 1), features(1 << 13)), 1, MAX_FEATURES),
      doubles: oneTrue,
    },
    ['imputed', 'missing', 'integers', 'doubles'],
  ) as { thresholds: number[][]; missing?: [number, number][] }
  if (thresholds.some((row) => row.some((x, i) => i > 0 && x <= (row[i - 1] as number))))
    wrong('thresholds must be strictly increasing')
  if (missing.some(([feature, rank]) => rank > (thresholds[feature]?.length ?? -2) + 1))
    wrong('missing must name features, and ranks that they have')
  if (new Set(missing.map(([feature]) => feature)).size !== missing.length) wrong('missing names a feature twice')
  return thresholds.length
}

const oneTrue: Read<true> = (value) => (value === true ? true : wrong('true is needed'))

const REPORT = {
  searched: count,
  chosen: count,
  given: count,
  refused: count,
  held_out: flag,
  float_interval: pair(float, float),
  integer_interval: pair(float, float),
  each: list(pair(float, float), 2, 64),
  agreement: float,
  flips: anyInteger,
  false_negatives: anyInteger,
  false_positives: anyInteger,
  largest_shift: float,
  mean_shift: float,
  shift_of: oneOf('probability', 'score', 'spread'),
  warnings: list(anyText, 0, 32),
}
const REPORT_OPTIONAL = [
  'searched',
  'chosen',
  'each',
  'agreement',
  'flips',
  'false_negatives',
  'false_positives',
  'warnings',
]
const FEATURE = {
  name: text(1, 128),
  unit: text(1, 64),
  values: list(float, 1, 2),
  loinc: matching(/^[0-9]{1,7}-[0-9]$/),
}

/** What the training library's own predictions were compared on. */
const EXPECTED: Record<string, Read<unknown>> = {
  records: integer(1, Number.MAX_SAFE_INTEGER),
  refused: count,
  methods: list(oneOf('predict', 'predict_proba', 'decision_function'), 1, 3),
  digest,
  flips: count,
  largest_shift: (value) => (float(value) >= 0 ? float(value) : wrong('a number of 0 or more is needed')),
}

function input(value: Json): number {
  const found = record(
    value,
    {
      shape: list(anyInteger, 1, 4),
      quantiser,
      features: list(
        (one) => record(one, FEATURE, ['unit', 'values', 'loinc']) as { name: string; loinc?: string },
        0,
        MAX_FEATURES,
      ),
      missing: flag,
    },
    ['features', 'missing'],
  ) as { quantiser: number; features?: { name: string; loinc?: string }[] }
  const named = found.features
  if (named) {
    if (named.length !== found.quantiser) wrong("features must name each of the quantiser's inputs")
    if (new Set(named.map((one) => one.name)).size !== named.length) wrong('two features have the same name')
    const codes = named.flatMap((one) => one.loinc ?? [])
    if (new Set(codes).size !== codes.length) wrong('two features have the same LOINC code')
  }
  return found.quantiser
}

function output(value: Json) {
  const found = record(
    value,
    {
      length: integer(1, 1024),
      scale: positive,
      decision: oneOf('sigmoid', 'softmax', 'argmax', 'value', 'multilabel'),
      task: oneOf('binary', 'multiclass', 'multilabel', 'regression', 'multi-target'),
      labels: list(anyText, 0, MANY),
      names: list(anyText, 0, MANY),
    },
    ['task', 'labels', 'names'],
  ) as { length: number; scale: number; decision: string; labels?: string[]; names?: string[] }
  if (found.names && found.names.length !== found.length) wrong('names must have one entry an output')
  const oneOfThem = ['sigmoid', 'softmax', 'argmax'].includes(found.decision)
  if (found.labels && oneOfThem && found.labels.length !== Math.max(2, found.length)) {
    wrong('labels must have one entry a class')
  }
  for (const words of [found.names ?? [], found.labels ?? []]) {
    if (new Set(words).size !== words.length) wrong('two classes or outputs have the same name')
    if (words.some((word) => /[\p{Cc}\p{Zl}\p{Zp}]/u.test(word))) {
      wrong("the name of a class or an output has a line's end or another control character")
    }
    if (words.some((word) => /^([=@]|[+-].*[(|!])/.test(word))) {
      wrong('a spreadsheet would take the name of a class or an output for a formula')
    }
  }
  return found
}

const FILE_NAME = /^(public|private)\/[a-z0-9][a-z0-9_.-]{0,63}$/

function files(value: Json): ReadonlyMap<string, string> {
  const found = Object.entries(object(value))
  if (found.length > 32) wrong('at most 32 files are allowed')
  for (const [path, hash] of found) {
    if (!FILE_NAME.test(path) || typeof hash !== 'string' || !/^[0-9a-f]{64}$/.test(hash)) {
      wrong('a file entry is not public/NAME or private/NAME with a SHA-256')
    }
  }
  if (!found.some(([path]) => path === 'public/vk.bin')) wrong('public/vk.bin is missing')
  return new Map(found as [string, string][])
}

interface Found {
  readonly name: string
  readonly lane: Lane
  readonly setup: string
  readonly weights_digest: string
  readonly vk_hash: string
  readonly circuit_digest: string
  readonly input: number
  readonly output: ReturnType<typeof output>
  readonly batch: number
  readonly accuracy: Manifest['accuracy']
  readonly expected?: Manifest['expected']
  readonly files: ReadonlyMap<string, string>
  readonly lane_params: Json
}

/** Read manifest.json. Throws for what is not canonical or inconsistent. */
export function parseManifest(data: Uint8Array): Manifest {
  const found = record(
    parseCanonical(data),
    {
      format: oneOf('proofward/artifact/v2'),
      name: text(1, 64),
      lane: oneOf('ezkl', 'groth16'),
      setup: oneOf('dev', 'attested', 'ceremony'),
      weights_digest: digest,
      vk_hash: digest,
      circuit_digest: digest,
      input,
      output,
      batch: integer(1, 32),
      accuracy: (value) =>
        record(
          value,
          {
            metric: oneOf('accuracy', 'agreement', 'r2'),
            records: count,
            float,
            integer: float,
            report: (one) => record(one, REPORT, REPORT_OPTIONAL),
          },
          ['report'],
        ),
      expected: (value) => record(value, EXPECTED),
      files,
      lane_params: object,
      constraints: object,
      versions: (value) => Object.values(object(value)).map(anyText),
    },
    ['expected', 'constraints', 'versions'],
  ) as unknown as Found
  const { labels = null, names = null, scale, decision, length } = found.output
  return {
    name: found.name,
    lane: found.lane,
    setup: found.setup,
    weightsDigest: found.weights_digest,
    vkHash: found.vk_hash,
    circuitDigest: found.circuit_digest,
    batch: found.batch,
    features: found.input,
    outputs: length,
    output: { scale, decision, labels, names },
    accuracy: found.accuracy,
    expected: found.expected ?? null,
    files: found.files,
    laneParams: found.lane_params,
  }
}
