// A client's own answer: unsealed here, checked against the proven commitment, read. Its key never leaves.
import type { Bundle } from './bundle.js'
import { concat, equal, hex, Reader, unhex, utf8 } from './bytes.js'
import { Num } from './canonical.js'
import { open } from './hpke.js'
import { type Manifest, parseManifest } from './manifest.js'
import { type Bounds, commit, type Form } from './poseidon.js'

export interface Answer {
  /** What each output is called. */
  readonly names: readonly string[]
  /** A record's label or value, and its outputs. */
  readonly records: readonly { readonly decision: string; readonly values: readonly number[] }[]
}

const MAX_VALUES = 8_192

/** The secret of the file that `proofward job submit` kept (`STATE/<genesis>/<job>.json`). Throws. */
export function replySecret(source: string, job: Uint8Array): Uint8Array {
  let fields: { job?: unknown; reply_secret?: unknown }
  try {
    fields = JSON.parse(source)
  } catch {
    throw new Error("the file is none of a job's secrets")
  }
  if (fields.job !== hex(job)) throw new Error('the file has the secrets of another job')
  const secret = typeof fields.reply_secret === 'string' ? unhex(fields.reply_secret) : new Uint8Array(0)
  if (secret.length !== 32) throw new Error("the file is none of a job's secrets")
  return secret
}

/** Open and check the answer of a bundle. Throws when it is not the proven one: do not use it then. */
export function openAnswer({ chain, job, result, model }: Bundle, secret: Uint8Array): Answer {
  const source = model.files.get('public/manifest.json')
  if (!source) throw new Error('the bundle has no manifest')
  const manifest = parseManifest(source)
  const context = [chain.genesis, job.id, job.model, result.worker, job.inputCommitment, result.outputCommitment]
  let plain: Uint8Array
  try {
    plain = open(result.sealedOutput, secret, concat(utf8('proofward/output/v1'), ...context))
  } catch {
    throw new Error('the sealed output does not open with this key')
  }
  const reader = new Reader(plain)
  const records = reader.unsigned(4)
  const count = reader.compact()
  if (count > MAX_VALUES || count !== manifest.batch * manifest.outputs || records < 1 || records > manifest.batch) {
    throw new Error('the output has not the shape of this model')
  }
  const values = Array.from({ length: count }, () =>
    BigInt.asIntN(
      64,
      reader.take(8).reduceRight((sum, byte) => (sum << 8n) + BigInt(byte), 0n),
    ),
  )
  const salt = reader.take(32)
  if (reader.left) throw new Error('bytes are left behind the output')
  const found = commit(boundsOf(manifest), manifest.batch, values, salt, formOf(manifest))
  if (!equal(found, result.outputCommitment)) {
    throw new Error('the output does not open the proven commitment: keep the bundle as evidence against the worker')
  }
  const rows = Array.from({ length: records }, (_, i) => values.slice(i * manifest.outputs, (i + 1) * manifest.outputs))
  return {
    names: manifest.output.names ?? Array.from({ length: manifest.outputs }, (_, i) => `output ${i}`),
    records: rows.map((row) =>
      decided(
        manifest,
        row.map((value) => Number(value) / manifest.output.scale),
      ),
    ),
  }
}

/** How the model commits to a batch; absent: a tree. */
function formOf({ laneParams }: Manifest): Form {
  const given = laneParams !== null && typeof laneParams === 'object' && 'commitment' in laneParams
  if (!given) return 'tree'
  const form = laneParams.commitment
  if (form !== 'tree' && form !== 'flat') throw new Error("the manifest's commitment is of no form that is known here")
  return form
}

function boundsOf(manifest: Manifest): Bounds {
  const params = manifest.laneParams
  const list = params !== null && typeof params === 'object' && 'output_bounds' in params ? params.output_bounds : null
  if (!Array.isArray(list) || list.length !== manifest.outputs)
    throw new Error("the manifest's output_bounds are missing")
  const whole = (value: unknown): bigint => {
    if (!(value instanceof Num) || !/^-?\d+$/.test(value.raw))
      throw new Error("the manifest's output_bounds are no numbers")
    return BigInt(value.raw)
  }
  return list.map((one) => {
    if (!Array.isArray(one) || one.length !== 2) throw new Error("the manifest's output_bounds are no pairs")
    return [whole(one[0]), whole(one[1])]
  })
}

function decided({ output }: Manifest, values: readonly number[]): { decision: string; values: readonly number[] } {
  const label = (index: number) => output.labels?.[index] ?? String(index)
  switch (output.decision) {
    case 'sigmoid':
      return { decision: label((values[0] as number) > 0 ? 1 : 0), values }
    case 'value':
      return { decision: values.join(', '), values }
    case 'multilabel':
      return { decision: values.map((value) => (value > 0 ? 1 : 0)).join(', '), values }
    default:
      return { decision: label(values.indexOf(Math.max(...values))), values }
  }
}
