// The page that verifies a file offline, from file:// too: a bundle, a gateway's answer with its receipt, a proof.
// Nothing leaves it: its own policy forbids requests.

import { checkList, checkRow, verdictBanner } from './ui/checks.js'
import { fill, h } from './ui/dom.js'
import { type Bundle, readBundle } from './verify/bundle.js'
import { hex, hex0x } from './verify/bytes.js'
import { opened } from './verify/e2ee.js'
import { ANSWER_FORMAT, type Exchange, readExchange, verifyExchange } from './verify/exchange.js'
import { type Authorities, genesisAuthorities } from './verify/finality.js'
import { PAGE_FORMAT, readPage, type SessionPage, verifyPage } from './verify/page.js'
import { policy } from './verify/policy.js'
import { PROOF_FORMAT, type ProofFile, readProof, verifyProofFile } from './verify/proof-file.js'
import { hash32 } from './verify/protocol.js'
import { dateText } from './verify/times.js'
import { RECEIPTS_FORMAT, readTwoReceipts, type TwoReceipts, verifyTwoReceipts } from './verify/two-receipts.js'
import type { Verdict } from './verify/verdict.js'
import { verifyBundle } from './verify/verify.js'

const MAX_FILE = 200 << 20
const MAX_SPEC = 64 << 20

interface Pins {
  readonly genesis: string | null
  readonly measurements: ReadonlySet<string> | null
  readonly development: boolean
  readonly authorities: Authorities | null
}

const field = (id: string): HTMLInputElement => document.getElementById(id) as HTMLInputElement

async function pinsOf(): Promise<Pins> {
  const genesis = field('genesis').value.trim()
  const measurements = field('measurements')
    .value.split(/[\s,]+/)
    .filter(Boolean)
  return {
    genesis: genesis ? hex(hash32(genesis, 'a genesis hash')) : null,
    measurements: measurements.length ? new Set(measurements.map((one) => hex(hash32(one, 'a measurement')))) : null,
    development: field('development').checked,
    authorities: await authoritiesOf(field('spec').files?.[0]),
  }
}

/** The first authorities of a chain's raw spec; null without a spec. Throws for a chain that has none. */
async function authoritiesOf(spec: File | undefined): Promise<Authorities | null> {
  if (!spec) return null
  if (spec.size > MAX_SPEC) throw new Error(`the spec has ${spec.size} bytes: no chain's is so large`)
  const found = genesisAuthorities(await spec.text())
  if (!found) throw new Error(`the chain of ${spec.name} has no GRANDPA: nobody can prove what its state holds`)
  return found
}

let latest: File | null = null

async function show(file: File): Promise<void> {
  latest = file
  const result = document.getElementById('result') as HTMLElement
  fill(result, h('p', { role: 'status' }, `reading ${file.name}`))
  try {
    if (file.size > MAX_FILE) throw new Error(`the file has ${file.size} bytes: no evidence is so large`)
    const pins = await pinsOf()
    const kind = kindOf(await file.slice(0, 512).text())
    if (kind === 'answer') verifyAnswer(result, readExchange(await bytesOf(file)), pins, file)
    else if (kind === 'proof') verifyProof(result, readProof(await bytesOf(file)), pins, file)
    else if (kind === 'receipts') verifyReceipts(result, readTwoReceipts(await bytesOf(file)), pins, file)
    else if (kind === 'page') verifySessionPage(result, readPage(await file.text()), pins, file)
    else if (kind === 'receipt') throw new Error(LONE_RECEIPT)
    else await verifyInto(result, readBundle(await file.text()), pins, file)
  } catch (error) {
    fill(
      result,
      h(
        'div',
        { class: 'verdict bad', role: 'alert', 'data-error': '' },
        h('p', { class: 'verdict-word' }, 'cannot be read'),
        h('p', {}, (error as Error).message),
      ),
    )
  }
}

const LONE_RECEIPT =
  "a receipt alone shows nothing: what attests its key is in the answer's file, which `proofward proxy` keeps"

const bytesOf = async (file: File): Promise<Uint8Array> => new Uint8Array(await file.arrayBuffer())

const KINDS = [
  [ANSWER_FORMAT, 'answer'],
  [PROOF_FORMAT, 'proof'],
  [PAGE_FORMAT, 'page'],
  [RECEIPTS_FORMAT, 'receipts'],
] as const

/** What a file says to be, by the format that it begins with. */
function kindOf(head: string): 'answer' | 'proof' | 'page' | 'receipts' | 'receipt' | 'bundle' {
  const found = KINDS.find(([format]) => head.includes(`"${format}"`))
  if (found) return found[1]
  return /"(receipt_id|workload_keyset_digest)"/.test(head) ? 'receipt' : 'bundle'
}

function told(result: HTMLElement, verdict: Verdict, ms: number, facts: HTMLElement, ...more: HTMLElement[]): void {
  const list = checkList()
  list.append(...verdict.checks.map(checkRow))
  fill(result, verdictBanner(verdict, ms, 'by you'), facts, h('h2', {}, 'Checks'), list, ...more)
}

function verifyAnswer(result: HTMLElement, one: Exchange, pins: Pins, file: File): void {
  const started = performance.now()
  const verdict = verifyExchange(one, policy(pins))
  const plain = (data: Uint8Array): string => new TextDecoder().decode(data)
  const answer = (): string => {
    try {
      return one.encryption ? opened(one.encryption, one.endpoint, one.response) : plain(one.response)
    } catch (error) {
      return `it does not open: ${(error as Error).message}`
    }
  }
  const words = h(
    'details',
    { class: 'no-print' },
    h('summary', {}, 'What was asked and answered (it stays in this page)'),
    h('h3', {}, 'Request'),
    h('pre', { class: 'mono' }, plain(one.request)),
    h('h3', {}, 'Answer'),
    h('pre', { class: 'mono' }, answer()),
  )
  const rows: [string, string][] = [
    ['file', `${file.name}, ${file.size} bytes`],
    ['gateway', `${one.gateway}, met as ${one.channel.host}`],
    ['endpoint', one.endpoint],
    ['receipt', String(one.receipt.receipt_id)],
    ['attested at', dateText(one.at)],
    ...pinned(pins),
  ]
  told(result, verdict, performance.now() - started, factList(rows), words)
}

function verifyReceipts(result: HTMLElement, one: TwoReceipts, pins: Pins, file: File): void {
  const started = performance.now()
  const verdict = verifyTwoReceipts(one, policy(pins))
  const rows: [string, string][] = [
    ['file', `${file.name}, ${file.size} bytes`],
    ['gateway', one.gateway],
    ['receipt', String(one.receipts[0].receipt_id)],
    ['attested at', dateText(one.at)],
    ...pinned(pins),
  ]
  const meaning = h('p', {}, 'Two receipts: “accepted” means that the gateway, or whoever holds its keys, lied.')
  told(result, verdict, performance.now() - started, factList(rows), meaning)
}

function verifySessionPage(result: HTMLElement, one: SessionPage, pins: Pins, file: File): void {
  const started = performance.now()
  const verdict = verifyPage(one, policy(pins))
  const rows: [string, string][] = [
    ['file', `${file.name}, ${file.size} bytes`],
    ['session', hex0x(one.session.id)],
    ['page', `${one.page.number}, in window ${one.window.number}, posted in block ${one.window.block}`],
    ['model', hex0x(one.session.model)],
    ['worker', hex0x(one.session.worker)],
    ['pinned genesis', pins.genesis === null ? 'none' : `0x${pins.genesis}`],
    ...pinned(pins),
  ]
  told(result, verdict, performance.now() - started, factList(rows))
}

let artefact: ReadonlyMap<string, Uint8Array> = new Map()

function verifyProof(result: HTMLElement, one: ProofFile, pins: Pins, file: File): void {
  const input = h('input', { type: 'file', id: 'artefact', multiple: true })
  input.addEventListener('change', async () => {
    const files = new Map<string, Uint8Array>()
    for (const each of input.files ?? []) {
      if (each.size <= MAX_SPEC) files.set(`public/${each.name}`, await bytesOf(each))
    }
    artefact = files
    void show(file)
  })
  const wanted = h(
    'p',
    { class: 'panel no-print' },
    h('label', { for: 'artefact' }, "The public files of the model's artefact (manifest.json, vk.bin): "),
    input,
  )
  const rows: [string, string][] = [
    ['file', `${file.name}, ${file.size} bytes`],
    ["manifest's hash", `0x${one.manifestHash}`],
    ['input commitment', hex0x(one.input)],
    ['output commitment', hex0x(one.output)],
    ...pinned(pins),
  ]
  if (!artefact.size) {
    const open = h(
      'div',
      { class: 'verdict open', role: 'status', 'data-wanted': 'artefact' },
      "A proof is verified under the model's key: choose its files.",
    )
    fill(result, open, factList(rows), wanted)
    return
  }
  try {
    const started = performance.now()
    const verdict = verifyProofFile(one, artefact, policy(pins))
    told(result, verdict, performance.now() - started, factList(rows), wanted)
  } catch (error) {
    fill(
      result,
      h('div', { class: 'verdict bad', role: 'alert', 'data-error': '' }, h('p', {}, (error as Error).message)),
      factList(rows),
      wanted,
    )
  }
}

const painted = (): Promise<void> => new Promise((done) => setTimeout(done))

async function verifyInto(result: HTMLElement, bundle: Bundle, pins: Pins, file: File): Promise<void> {
  const rows = checkList()
  const top = h('div', {}, h('p', { role: 'status' }, 'verifying'))
  fill(result, top, facts(bundle, pins, file), h('h2', {}, 'Checks'), rows)
  const started = performance.now()
  const verdict = await verifyBundle(bundle, policy(pins), async (made) => {
    rows.append(...made.map(checkRow))
    await painted()
  })
  fill(top, verdictBanner(verdict, performance.now() - started, 'by you'))
}

function facts(bundle: Bundle, pins: Pins, file: File): HTMLElement {
  return factList([
    ['file', `${file.name}, ${file.size} bytes`],
    ['job', hex0x(bundle.job.id)],
    ['model', hex0x(bundle.job.model)],
    ['worker', hex0x(bundle.result.worker)],
    ['pinned genesis', pins.genesis === null ? 'none' : `0x${pins.genesis}`],
    ['first authorities', pins.authorities === null ? 'none: no spec' : [...pins.authorities.voters.keys()].join(' ')],
    ...pinned(pins),
  ])
}

const pinned = (pins: Pins): [string, string][] => [
  ['pinned software', pins.measurements === null ? 'none' : [...pins.measurements].join(' ')],
  ['development admitted', pins.development ? 'yes' : 'no'],
  ['verified at', `${dateText(Math.floor(Date.now() / 1000))} by this machine's clock`],
]

function factList(rows: [string, string][]): HTMLElement {
  return h(
    'section',
    { 'aria-label': 'Evidence' },
    h('h2', {}, 'Evidence'),
    h(
      'dl',
      { class: 'facts' },
      rows.map(([name, value]) => [h('dt', {}, name), h('dd', { class: 'mono' }, value)]),
    ),
  )
}

const drop = document.getElementById('drop') as HTMLElement
const input = field('file')
input.addEventListener('change', () => input.files?.[0] && void show(input.files[0]))
for (const name of ['dragenter', 'dragover']) {
  drop.addEventListener(name, (event) => {
    event.preventDefault()
    drop.classList.add('over')
  })
}
drop.addEventListener('dragleave', () => drop.classList.remove('over'))
drop.addEventListener('drop', (event) => {
  event.preventDefault()
  drop.classList.remove('over')
  const file = (event as DragEvent).dataTransfer?.files[0]
  if (file) void show(file)
})
for (const id of ['genesis', 'measurements', 'development', 'spec']) {
  field(id).addEventListener('change', () => latest && void show(latest))
}
document.getElementById('print')?.addEventListener('click', () => {
  // On paper nobody can open a line.
  for (const one of document.querySelectorAll('details')) one.open = true
  window.print()
})
