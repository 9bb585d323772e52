// The index, a convenience: what it says is shown as its word.

export type Row = Record<string, unknown>

/** Ask the index: what it says, and of which block that is. Throws an Error with what it says of a refusal. */
export async function askAt<T = Row>(path: string): Promise<[value: T, block: number]> {
  const answer = await fetch(`./api/${path}`)
  const value = (await answer.json()) as T & { error?: { message?: string } }
  if (!answer.ok) throw new Error(value.error?.message ?? `the index answers ${answer.status}`)
  return [value, Number(answer.headers.get('Proofward-Block'))]
}

export const ask = async <T = Row>(path: string): Promise<T> => (await askAt<T>(path))[0]

export const rows = (value: unknown): Row[] => (Array.isArray(value) ? value : [])
export const row = (value: unknown): Row => (value !== null && typeof value === 'object' ? (value as Row) : {})
export const text = (value: unknown): string => (value === null || value === undefined ? '' : String(value))

/** The public files of an artefact, from the explorer; each is compared with its hash later. */
export async function artefact(manifestHash: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const manifest = await file(manifestHash, 'manifest.json')
  const found = new Map([['public/manifest.json', manifest]])
  const { files } = JSON.parse(new TextDecoder().decode(manifest)) as { files: Record<string, string> }
  for (const name of Object.keys(files)) {
    if (/^public\/[a-z0-9][a-z0-9_.-]{0,63}$/.test(name))
      found.set(name, await file(manifestHash, name.slice('public/'.length)))
  }
  return found
}

async function file(manifestHash: string, name: string): Promise<Uint8Array> {
  const answer = await fetch(`./api/artefacts/${manifestHash}/${name}`)
  if (!answer.ok)
    throw new Error("this explorer does not have the model's artefact: drop its manifest.json and vk.bin below")
  return new Uint8Array(await answer.arrayBuffer())
}
