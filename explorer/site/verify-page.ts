// The page that verifies a bundle offline, from file:// too. Nothing leaves it: its own policy forbids requests.

import { checkList, checkRow, verdictBanner } from './ui/checks.js'
import { fill, h } from './ui/dom.js'
import { type Bundle, readBundle } from './verify/bundle.js'
import { hex, hex0x } from './verify/bytes.js'
import { type Authorities, genesisAuthorities } from './verify/finality.js'
import { policy } from './verify/policy.js'
import { hash32 } from './verify/protocol.js'
import { dateText } from './verify/times.js'
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
    if (file.size > MAX_FILE) throw new Error(`the file has ${file.size} bytes: no bundle is so large`)
    const pins = await pinsOf()
    const bundle = readBundle(await file.text())
    await verifyInto(result, bundle, pins, file)
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
  const rows: [string, string][] = [
    ['file', `${file.name}, ${file.size} bytes`],
    ['job', hex0x(bundle.job.id)],
    ['model', hex0x(bundle.job.model)],
    ['worker', hex0x(bundle.result.worker)],
    ['verified at', `${dateText(Math.floor(Date.now() / 1000))} by this machine's clock`],
    ['pinned genesis', pins.genesis === null ? 'none' : `0x${pins.genesis}`],
    ['pinned software', pins.measurements === null ? 'none' : [...pins.measurements].join(' ')],
    ['first authorities', pins.authorities === null ? 'none: no spec' : [...pins.authorities.voters.keys()].join(' ')],
    ['development admitted', pins.development ? 'yes' : 'no'],
  ]
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
