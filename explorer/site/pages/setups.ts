// Who made each model's keys, and a ceremony's transcript, checked again in this tab.
import type { Chain } from '../chain/chain.js'
import { bytesOf, choiceOf, structOf } from '../chain/values.js'
import { artefact, row, rows, text } from '../index-api.js'
import { badge, checkList, checkRow } from '../ui/checks.js'
import { type Child, fill, h } from '../ui/dom.js'
import { link } from '../ui/format.js'
import { hex, hex0x, unhex } from '../verify/bytes.js'
import { type Check, check } from '../verify/check.js'
import { policy } from '../verify/policy.js'
import { enclaveChecks, quoteFile, readTranscript, type Transcript, transcriptChecks } from '../verify/transcript.js'
import { outcomeOf } from '../verify/verdict.js'
import { Again } from './again.js'
import { facts, state, table } from './parts.js'
import { otherChain, type Source } from './source.js'

const MEANINGS: [string, string][] = [
  ['dev', 'one party made the keys and could forge proofs'],
  ['attested', "an enclave made them; its quote is in the chain's history, and a job's page verifies it"],
  [
    'ceremony',
    'many contributed, and the chain certified the transcript by this hash: its page checks every contribution in this browser',
  ],
]
const TRANSCRIPT = 'public/ceremony.bin'
const MAX_FILE = 64 << 20

type Files = ReadonlyMap<string, Uint8Array>

export async function setups(source: Source): Promise<Child> {
  const again = new Again(source)
  const found = rows(await again.ask<unknown>('models'))
  again.begin()
  return [
    h('h1', {}, 'Setups'),
    again.banner,
    h(
      'dl',
      {},
      MEANINGS.map(([name, what]) => [h('dt', {}, name), h('dd', {}, what)]),
    ),
    table(
      'Setups of the models',
      [
        { name: 'model', of: (one) => link('setups', one.id, text(one.name) || undefined) },
        { name: 'setup', of: (one) => state(one.setup) },
        { name: 'circuit', of: (one) => h('span', { class: 'mono' }, text(one.circuit_digest)) },
        {
          name: "quote's or transcript's hash",
          of: (one) => h('span', { class: 'mono' }, text(one.evidence_hash) || 'none'),
        },
        {
          name: 'software that made the keys',
          of: (one) => h('span', { class: 'mono' }, text(row(one.grounds).measurement) || 'none'),
        },
      ],
      found,
      [again, (one) => again.record('model', one)],
    ),
  ]
}

/** The setup of a model: its record from the chain, its transcript from the explorer or the reader's disk. */
export async function setup(id: string, _asked: URLSearchParams, source: Source): Promise<Child> {
  const place = h('section', { 'aria-label': 'Setup', id: 'setup' })
  void show(place, id, source, null)
  return [h('h1', {}, 'Setup of model ', h('span', { class: 'mono' }, id)), place]
}

async function show(place: HTMLElement, id: string, source: Source, given: Files | null): Promise<void> {
  fill(place, h('p', { role: 'status' }, `reading the chain: ${source.name}`))
  let chain: Chain | null = null
  try {
    chain = await source.open()
    const model = unhex(id.replace(/^0x/, ''))
    const found = await chain.query((await chain.finalised()).hash, 'Models.Models', [model])
    if (found === null) throw new Error(`the chain has no model ${id}`)
    const record = structOf(found)
    const kind = choiceOf(record.setup).name
    const hash = record.evidence_hash
    const top = [
      otherChain(chain.genesis, source.genesis),
      h('p', { class: 'muted', 'data-read': chain.proved ? 'proved' : 'said' }, `The record: ${chain.witness}.`),
      facts([
        ['setup', badge(kind.toLowerCase(), kind === 'Dev' ? 'bad' : 'said')],
        ['meaning', MEANINGS.find(([name]) => name === kind.toLowerCase())?.[1] ?? 'unknown to this page'],
        ['model', link('models', id)],
        ['circuit', mono(record.circuit_digest)],
        ['verifying key, SHA-256', mono(record.vk_hash)],
        ["quote's or transcript's hash", hash instanceof Uint8Array ? mono(hash) : 'none'],
      ]),
    ]
    fill(place, top)
    const files = given ?? (await artefact(hex(bytesOf(record.manifest_hash))).catch((error: Error) => error))
    if (files instanceof Error || !files.get(TRANSCRIPT)) {
      const told =
        files instanceof Error ? files.message : kind === 'Ceremony' ? 'these files have no ceremony.bin' : null
      fill(
        place,
        top,
        told !== null && h('p', { class: 'muted', role: 'status', 'data-transcript': 'none' }, told),
        told === null && h('p', { class: 'muted', 'data-transcript': 'none' }, 'These keys have no transcript.'),
        drop((chosen) => void show(place, id, source, chosen)),
      )
      return
    }
    const wanted = {
      circuit: bytesOf(record.circuit_digest),
      vk: bytesOf(record.vk_hash),
      certified: kind === 'Ceremony' && hash instanceof Uint8Array ? hash : null,
      word: chain.proved ? null : chain.witness,
    }
    await transcript(place, top, files, wanted, () => drop((chosen) => void show(place, id, source, chosen)))
  } catch (error) {
    fill(place, h('p', { class: 'error', role: 'alert', 'data-error': '' }, (error as Error).message))
  } finally {
    chain?.release()
  }
}

const mono = (value: unknown): HTMLElement =>
  h('span', { class: 'mono' }, value instanceof Uint8Array ? hex0x(value) : 'none')

const painted = (): Promise<void> => new Promise((done) => setTimeout(done))

async function transcript(
  place: HTMLElement,
  top: Child,
  files: Files,
  wanted: Parameters<typeof transcriptChecks>[2],
  again: () => HTMLElement,
): Promise<void> {
  const [data, vk] = [files.get(TRANSCRIPT), files.get('public/vk.bin') ?? new Uint8Array(0)]
  if (!data) return
  const list = checkList()
  const told = h('p', { role: 'status' }, 'checking the contributions')
  const enclaves = h('div', { id: 'enclaves' })
  let read: Transcript | null = null
  try {
    read = readTranscript(data)
  } catch {
    // the first check says why
  }
  fill(place, top, read && contributors(read), h('h2', {}, 'Checked in this tab'), told, list, enclaves, again())
  const checks: Check[] = []
  for (const one of transcriptChecks(data, vk, wanted)) {
    checks.push(one)
    list.append(checkRow(one))
    await painted()
  }
  const refused = outcomeOf(checks) === 'refused'
  const outcome = refused ? 'refused' : 'consistent; what is not checked is named'
  told.dataset.transcript = refused ? 'refused' : 'consistent'
  fill(told, badge(outcome, refused ? 'bad' : 'open'), ' one honest contributor, who erased a secret, is enough')
  if (read) fill(enclaves, quotes(read))
}

const contributors = (found: Transcript): HTMLElement =>
  table(
    'Contributors, in order: each published the hash after its own contribution',
    [
      { name: 'number', number: true, of: (one) => String(one.number) },
      { name: 'name', of: (one) => String(one.name) },
      { name: 'what', of: (one) => badge(String(one.kind), one.kind === 'secret' ? 'said' : 'open') },
      { name: 'hash after it', of: (one) => h('span', { class: 'mono' }, String(one.hash)) },
    ],
    found.contributions.map((one, i) => ({
      number: i + 1,
      name: one.name,
      kind: one.beacon ? 'beacon, public' : 'secret',
      hash: hex(one.hash),
    })),
  )

/** Which contributors were enclaves: by their quotes, from the reader's disk. */
function quotes(found: Transcript): HTMLElement {
  const list = checkList()
  const input = h('input', { type: 'file', id: 'quotes', multiple: true })
  const development = h('input', { type: 'checkbox', id: 'admit-simulated' })
  input.addEventListener('change', async () => {
    const made: Check[] = []
    for (const file of input.files ?? []) {
      try {
        if (file.size > 1 << 18) throw new Error('it is larger than a quote can be')
        made.push(...enclaveChecks(quoteFile(await file.text()), found, policy({ development: development.checked })))
      } catch (error) {
        made.push(check('enclave', false, `${file.name}: ${(error as Error).message}`))
      }
    }
    input.value = ''
    fill(list, made.map(checkRow))
  })
  return h(
    'section',
    { class: 'panel no-print', 'aria-label': 'Enclaves' },
    h(
      'p',
      {},
      'An enclave that contributed left a quote beside the file (NAME.ceremony.quote). Without it a contributor is a name.',
    ),
    h('p', {}, h('label', { for: 'admit-simulated' }, development, ' Development: admit simulated enclaves')),
    h('label', { for: 'quotes' }, 'Quotes of contributions: '),
    input,
    list,
  )
}

/** The public files from the reader's own disk; their hashes are compared with the record. */
function drop(again: (files: Files) => void): HTMLElement {
  const input = h('input', { type: 'file', id: 'transcript', multiple: true })
  input.addEventListener('change', async () => {
    const files = new Map<string, Uint8Array>()
    for (const file of input.files ?? []) {
      if (file.size <= MAX_FILE) files.set(`public/${file.name}`, new Uint8Array(await file.arrayBuffer()))
    }
    again(files)
  })
  return h(
    'p',
    { class: 'panel no-print' },
    h('label', { for: 'transcript' }, 'A transcript of your own (ceremony.bin and vk.bin): '),
    input,
  )
}
