// The model of a bundle: its public artefact, and whether it is the one that the job's model id names.
import type { Bundle } from './bundle.js'
import { equal, hex } from './bytes.js'
import { type Check, check, said } from './check.js'
import { verifyProof } from './groth16.js'
import { sha256 } from './hashes.js'
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from './manifest.js'
import { modelId } from './protocol.js'

/** The public artefact: its manifest and verifying key. */
export interface Artefact {
  readonly manifest: Manifest
  readonly key: Uint8Array
}

/** The artefact of the bundle, null when it is not the one that the model's id names. */
export function modelChecks(model: Bundle['model'], claimed: Uint8Array): [Artefact | null, Check[]] {
  const inputs = {
    publisher: hex(model.publisher),
    'weights digest': hex(model.weightsDigest),
    'manifest hash': hex(model.manifestHash),
    lane: model.lane,
    'vk hash': hex(model.vkHash),
    'key hash': hex(model.keyHash),
    files: [...model.files.keys()].join(', '),
  }
  const refused = (detail: string): [null, Check[]] => [null, [check('model', false, detail, inputs)]]
  const found = modelId(model)
  if (!equal(found, claimed)) return refused(`its record gives id 0x${hex(found)}, the job names 0x${hex(claimed)}`)
  let artefact: Artefact
  let manifestHash: string
  try {
    ;[artefact, manifestHash] = unpack(model.files)
    requireNamed(artefact.manifest, model.files)
  } catch (error) {
    return refused((error as Error).message)
  }
  const { manifest, key } = artefact
  const facts: [string, string, string][] = [
    ['manifest', manifestHash, hex(model.manifestHash)],
    ['weights digest', manifest.weightsDigest, hex(model.weightsDigest)],
    ['verifying key', manifest.vkHash, hex(model.vkHash)],
    ['key of the contract', hex(sha256(key)), hex(model.keyHash)],
    ['circuit digest', manifest.circuitDigest, hex(model.circuitDigest)],
    ['lane', manifest.lane, model.lane],
    ['name', manifest.name, model.name],
  ]
  for (const [name, ours, theirs] of facts) {
    if (ours !== theirs) return refused(`the artefact's ${name} is ${ours}, the record's ${theirs}`)
  }
  const good = check('model', true, `0x${hex(claimed)}, weights ${hex(model.weightsDigest)}`, inputs)
  return [
    artefact,
    [
      good,
      said('model name', `${quoted(model.name)}: the publisher's own word, as are labels and accuracy`),
      said('library', library(manifest)),
    ],
  ]
}

function library({ expected }: Manifest): string {
  if (!expected) return 'not checked: nobody compared the model with the library that trained it'
  const { records, digest } = expected
  return `compared with the training library's answers to ${records} records, SHA-256 ${digest}: the publisher's own word`
}

/** The public files of an artefact, each compared with its manifest; the manifest's hash (hex). Throws. */
export function unpack(files: ReadonlyMap<string, Uint8Array>): [Artefact, string] {
  const plain = new Map<string, Uint8Array>()
  for (const [name, data] of files) {
    const short = name.replace(/^public\//, '')
    if (!/^[a-z0-9][a-z0-9_.-]{0,63}$/.test(short)) {
      throw new Error(`the bundle names a file ${quoted(name)}, which is not public/NAME`)
    }
    plain.set(short, data)
  }
  const source = plain.get('manifest.json')
  if (!source) throw new Error('cannot read manifest.json: the bundle does not have it')
  if (source.length > MAX_MANIFEST_BYTES)
    throw new Error(`manifest is ${source.length} bytes, the limit is ${MAX_MANIFEST_BYTES}`)
  const manifest = parseManifest(source)
  for (const [name, digest] of manifest.files) {
    if (!name.startsWith('public/')) continue
    const data = plain.get(name.slice('public/'.length))
    if (!data) throw new Error(`cannot read ${name}: the bundle does not have it`)
    if (hex(sha256(data)) !== digest)
      throw new Error(`${name} does not match the manifest's hash; fetch the artifact again`)
  }
  const key = plain.get('vk.bin') as Uint8Array
  if (hex(sha256(key)) !== manifest.vkHash) throw new Error("vk.bin does not match the manifest's vk_hash")
  return [{ manifest, key }, hex(sha256(source))]
}

/** A verdict speaks of the files that the manifest names, so a bundle brings no others. Throws. */
function requireNamed(manifest: Manifest, files: ReadonlyMap<string, Uint8Array>): void {
  const other = [...files.keys()].find((name) => name !== 'public/manifest.json' && !manifest.files.has(name))
  if (other !== undefined)
    throw new Error(`the bundle brings a file ${quoted(other)}, which the manifest does not name`)
}

/** Whether the proof leads from one commitment to the other under the model's key. */
export function proofCheck(artefact: Artefact | null, input: Uint8Array, output: Uint8Array, proof: Uint8Array): Check {
  if (!artefact) return check('proof', null, "the model's artefact is not the one that the model's id names")
  return proves(artefact, input, output, proof)
}

export function proves(artefact: Artefact, input: Uint8Array, output: Uint8Array, proof: Uint8Array): Check {
  const inputs = {
    'verifying key': hex(artefact.key),
    'input commitment': hex(input),
    'output commitment': hex(output),
    proof: hex(proof),
  }
  const { lane } = artefact.manifest
  if (lane !== 'groth16')
    return check('proof', null, `the ${lane} lane cannot be verified in a browser; use \`proofward verify\``, inputs)
  try {
    const good = verifyProof(artefact.key, input, output, proof)
    const told = `${proof.length} bytes, ${lane}, for input commitment ${hex(input)}`
    return check('proof', good, good ? told : `it does not verify: ${told}`, inputs)
  } catch (error) {
    return check('proof', false, (error as Error).message, inputs)
  }
}

/** Text of somebody else as Python's repr shows it, so that nothing hides in it. */
export function quoted(value: string): string {
  const mark = value.includes("'") && !value.includes('"') ? '"' : "'"
  const shown = Array.from(value, (letter) => {
    if (letter === '\\' || letter === mark) return `\\${letter}`
    const known = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[letter]
    if (known) return known
    const code = letter.codePointAt(0) as number
    if (letter === ' ' || !/[\p{C}\p{Z}]/u.test(letter)) return letter
    if (code < 256) return `\\x${code.toString(16).padStart(2, '0')}`
    return code < 65_536 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`
  })
  return mark + shown.join('') + mark
}
