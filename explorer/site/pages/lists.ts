// Jobs with filters, workers, models, market, attestation, blocks, search.
import { readAttestation } from '../chain/records.js'
import { ask, type Row, row, rows, text } from '../index-api.js'
import { type Child, h } from '../ui/dom.js'
import { link, short, unit, when } from '../ui/format.js'
import { hex } from '../verify/bytes.js'
import { sha256 } from '../verify/hashes.js'
import { Again, byMark, Figures } from './again.js'
import { type Column, counted, eventTable, facts, jobTable, state, table } from './parts.js'
import type { Source } from './source.js'
import { standing } from './worker.js'

const FILTERS = ['status', 'level', 'model', 'worker', 'client'] as const

export async function jobs(_: string, asked: URLSearchParams, source: Source): Promise<Child> {
  const again = new Again(source)
  const wanted = new URLSearchParams()
  for (const name of [...FILTERS, 'before']) {
    const value = asked.get(name)
    if (value) wanted.set(name, value)
  }
  const found = await again.ask(`jobs?${wanted}`)
  const next = new URLSearchParams(wanted)
  if (found.next !== null) next.set('before', text(found.next))
  const shown = jobTable('Jobs, the newest first', found.jobs, again)
  again.begin()
  return [
    h('h1', {}, 'Jobs'),
    filters(wanted),
    again.banner,
    shown,
    found.next !== null && h('p', {}, h('a', { href: `#/jobs?${next}` }, 'older jobs')),
  ]
}

function filters(wanted: URLSearchParams): HTMLElement {
  const choice = (name: string, values: string[]) =>
    h(
      'div',
      {},
      h('label', { for: `f-${name}` }, name),
      h(
        'select',
        { id: `f-${name}`, name },
        ['', ...values].map((value) => h('option', { value, selected: wanted.get(name) === value }, value || 'any')),
      ),
    )
  const field = (name: string, what: string) =>
    h(
      'div',
      {},
      h('label', { for: `f-${name}` }, name),
      h('input', {
        id: `f-${name}`,
        name,
        value: wanted.get(name) ?? '',
        placeholder: what,
        spellcheck: 'false',
        autocomplete: 'off',
      }),
    )
  const form = h(
    'form',
    { class: 'filters', 'aria-label': 'Filters' },
    choice('status', ['queued', 'claimed', 'accepted', 'refunded']),
    choice('level', ['simulated', 'hardware']),
    field('model', '0x…'),
    field('worker', 'address or 0x…'),
    field('client', 'address or 0x…'),
    h('button', { type: 'submit' }, 'Filter'),
  )
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const chosen = new URLSearchParams()
    for (const [name, value] of new FormData(form))
      if (typeof value === 'string' && value.trim()) chosen.set(name, value.trim())
    location.hash = `#/jobs?${chosen}`
  })
  return form
}

/** Every record of a kind, each read again, and whether the chain has more. */
async function listed(
  kind: 'worker' | 'model',
  source: Source,
  heading: string,
  columns: readonly Column[],
): Promise<Child> {
  const again = new Again(source)
  const found = rows(await again.ask<unknown>(`${kind}s`))
  const shown = table(heading, columns, found, [again, (one) => again.record(kind, one)])
  again.whole(
    kind,
    found.map((one) => text(one.id)),
  )
  again.begin()
  return [h('h1', {}, heading), again.banner, shown]
}

const mono = (value: unknown): HTMLElement => h('span', { class: 'mono' }, text(value))
const cut = (value: unknown): HTMLElement => h('span', { class: 'mono', title: text(value) }, short(text(value)))

export const workers = (_: string, _asked: URLSearchParams, source: Source): Promise<Child> =>
  listed('worker', source, 'Workers', [
    { name: 'worker', of: (one) => link('workers', one.id) },
    { name: 'level', of: (one) => state(one.level) },
    { name: 'state', of: standing },
    { name: 'accepted', number: true, of: (one) => text(row(one.tally).accepted) },
    { name: 'rejected', number: true, of: (one) => text(row(one.tally).rejected) },
    { name: 'lapsed', number: true, of: (one) => text(row(one.tally).lapsed) },
    { name: 'stake', number: true, of: (one) => unit(one.stake) },
    { name: 'measurement', of: (one) => cut(one.measurement) },
    { name: 'until', of: (one) => when(one.expires_at) },
  ])

export const models = (_: string, _asked: URLSearchParams, source: Source): Promise<Child> =>
  listed('model', source, 'Models', [
    { name: 'model', of: (one) => link('models', one.id) },
    { name: "name (publisher's word)", of: (one) => text(one.name) },
    { name: 'lane', of: (one) => text(one.lane) },
    { name: 'setup', of: (one) => text(one.setup) },
    { name: 'least price', number: true, of: (one) => unit(row(one.terms).price) },
    { name: 'state', of: (one) => (one.gone === true ? 'removed' : one.retired_at === null ? 'live' : 'retired') },
    { name: 'publisher', of: (one) => cut(one.publisher) },
  ])

export async function model(id: string, _asked: URLSearchParams, source: Source): Promise<Child> {
  const again = new Again(source)
  const found = await again.ask(`models/${id}`)
  const one = row(found.model)
  const figures = again.add(new Figures(one), again.record('model', one))
  const place = h('div', {}, h('p', { class: 'muted' }, 'looking for its artefact'))
  void accuracy(text(one.manifest_hash).slice(2), place)
  const terms = (it: Row) => row(it.terms)
  const told = facts([
    ['id', figures.of((it) => mono(it.id))],
    ["name (publisher's word)", figures.of((it) => text(it.name))],
    ['publisher', figures.of((it) => mono(it.publisher))],
    ['lane', figures.of((it) => text(it.lane))],
    ['setup', figures.of((it) => link('setups', it.id, text(it.setup) || undefined))],
    ['least price', figures.of((it) => unit(terms(it).price))],
    ["publisher's share", figures.of((it) => `${text(terms(it).share)} millionths`)],
    ['bond of a claim', figures.of((it) => unit(terms(it).bond))],
    ['life of a claim', figures.of((it) => `${text(terms(it).claim_blocks)} blocks`)],
    ['input', figures.of((it) => `${JSON.stringify(it.input_shape)}, at most ${text(it.batch)} records a job`)],
    ['weights (SHA-256)', figures.of((it) => mono(it.weights_digest))],
    ['manifest (SHA-256)', figures.of((it) => mono(it.manifest_hash))],
    ['verifying key (SHA-256)', figures.of((it) => mono(it.key_hash))],
    ['circuit', figures.of((it) => mono(it.circuit_digest))],
    ['published in', figures.of((it) => link('blocks', it.published_at, text(it.published_at)))],
    ['jobs', [counted(found.statuses), ' ', byMark('index')]],
  ])
  const events = eventTable('Events', found.events, again)
  const jobs = jobTable('Latest jobs', found.jobs, again)
  again.begin()
  return [
    h('h1', {}, `Model ${text(one.name)}`),
    again.banner,
    told,
    h('h2', {}, 'Accuracy and setup'),
    place,
    h('h2', {}, 'What happened to it'),
    events,
    h('h2', {}, 'Latest jobs'),
    jobs,
  ]
}

/** What the manifest says, once its bytes have the hash that the record names. */
async function accuracy(digest: string, place: HTMLElement): Promise<void> {
  const { parseManifest } = await import('../verify/manifest.js')
  try {
    const answer = await fetch(`./api/artefacts/${digest}/manifest.json`)
    if (!answer.ok) throw new Error('this explorer was not given its artefact')
    const data = new Uint8Array(await answer.arrayBuffer())
    if (hex(sha256(data)) !== digest) throw new Error('the artefact that this explorer has is another one')
    const { accuracy: figures, setup, batch } = parseManifest(data)
    place.replaceChildren(
      facts([
        ['measured by', `${figures.metric} on ${figures.records} records that chose nothing`],
        ['float model', figures.float.toFixed(4)],
        ['integer model', figures.integer.toFixed(4)],
        ['setup in the manifest', setup],
        ['batch', `${batch}`],
      ]),
      h(
        'p',
        { class: 'muted' },
        "The manifest has the record's hash, compared in this browser; accuracy is the publisher's word (",
        h('code', {}, 'proofward model audit'),
        ' measures it).',
      ),
    )
  } catch (error) {
    place.replaceChildren(h('p', { class: 'muted' }, (error as Error).message))
  }
}

export async function market(_: string, _asked: URLSearchParams, source: Source): Promise<Child> {
  const again = new Again(source)
  const found = await again.ask('market')
  const earned = (kind: string): Column[] => [
    { name: kind.slice(0, -1), of: (one) => link(kind, one.id) },
    { name: 'accepted jobs', number: true, of: (one) => text(one.jobs) },
    { name: 'inferences in sessions', number: true, of: (one) => text(one.records) },
    { name: 'to workers', number: true, of: (one) => unit(one.paid) },
    { name: 'to publishers', number: true, of: (one) => unit(one.royalty) },
  ]
  const lost = eventTable('The latest', found.lost, again)
  again.begin()
  return [
    h('h1', {}, 'Market'),
    again.banner,
    h('h2', {}, 'Paid, by model'),
    sums(),
    table('By model', earned('models'), rows(found.models)),
    h('h2', {}, 'Paid, by worker'),
    sums(),
    table('By worker', earned('workers'), rows(found.workers)),
    h('h2', {}, 'Bonds cut, stakes slashed'),
    lost,
  ]
}

const sums = (): HTMLElement =>
  h(
    'p',
    { class: 'muted' },
    byMark('index'),
    ' Sums over every block: no state of the chain has them. ',
    h('code', {}, 'proofward audit export'),
    ' writes what they are made of.',
  )

export async function attestation(_: string, _asked: URLSearchParams, source: Source): Promise<Child> {
  const again = new Again(source)
  const found = await again.ask('attestation')
  const figures = again.add(new Figures(found), (chain, head) => readAttestation(chain, head.hash))
  const events = eventTable('Events', found.events, again)
  again.begin()
  return [
    h('h1', {}, 'Measurements and roots'),
    again.banner,
    h('h2', {}, 'Software that may work'),
    figures.of(allowed, 'div'),
    h('h2', {}, 'Roots of quotes'),
    figures.of(trusted, 'div'),
    h('h2', {}, 'Demands on platforms'),
    figures.of(demands, 'div'),
    h('h2', {}, 'Collateral'),
    figures.of(collateral, 'div'),
    h('h2', {}, 'How it came about'),
    events,
  ]
}

const allowed = (found: Row): Child =>
  table(
    'Measurements on the allow-list',
    [
      { name: 'measurement', of: (one) => mono(one.id) },
      { name: 'label', of: (one) => text(one.label) },
    ],
    Object.entries(row(found.measurements)).map(([id, label]) => ({ id, label })),
  )

const trusted = (found: Row): Child =>
  table(
    'Trust roots',
    [
      { name: 'SHA-256', of: (one) => mono(one.id) },
      { name: 'level', of: (one) => state(one.level) },
    ],
    rows(found.roots),
  )

const demands = ({ policy }: Row): Child =>
  facts(
    Object.entries(row(policy))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => [name.replaceAll('_', ' '), JSON.stringify(value)]),
  )

const collateral = (found: Row): Child =>
  table(
    'Collateral by family of platforms',
    [
      { name: 'family', of: (one) => mono(one.fmspc) },
      { name: 'authority', of: (one) => text(one.authority) },
      { name: 'expires', of: (one) => when(one.expires_at) },
      { name: 'bytes', number: true, of: (one) => text(one.bytes) },
    ],
    rows(found.collateral),
  )

export async function block(number: string, _asked: URLSearchParams, source: Source): Promise<Child> {
  const again = new Again(source)
  const found = await again.ask(`blocks/${number}`)
  const one = row(found.block)
  const figures = again.add(new Figures(one), again.block({ number }))
  const calls = table(
    'Calls',
    [
      { name: 'call', of: (call) => text(call.call) },
      { name: 'signer', of: (call) => cut(call.signer) },
      { name: 'extrinsic', of: (call) => mono(call.hash) },
    ],
    rows(found.extrinsics),
    [again, (call) => again.extrinsic(Number(number), call)],
  )
  const events = eventTable('Events', found.events, again)
  again.begin()
  return [
    h('h1', {}, `Block ${text(one.number)}`),
    again.banner,
    facts([
      ['hash', figures.of((it) => mono(it.hash))],
      ['time', figures.of((it) => when(it.time))],
    ]),
    calls,
    events,
  ]
}

const PAGES: Record<string, string> = {
  job: 'jobs',
  model: 'models',
  worker: 'workers',
  session: 'sessions',
  block: 'blocks',
}

export async function search(_: string, asked: URLSearchParams): Promise<Child> {
  const wanted = asked.get('q') ?? ''
  const found = rows(await ask<unknown>(`search?${new URLSearchParams({ q: wanted })}`))
  const one = found[0]
  const kind = text(one?.kind)
  if (found.length === 1 && PAGES[kind]) {
    location.replace(`#/${PAGES[kind]}/${text(one?.id)}`)
    return h('p', {}, 'found')
  }
  return [
    h('h1', {}, 'Search'),
    h(
      'p',
      {},
      found.length ? `${found.length} found for ` : 'Nothing has this name, id, hash, account or number: ',
      h('span', { class: 'mono' }, wanted),
    ),
    h(
      'ul',
      {},
      found.map((each) =>
        h(
          'li',
          {},
          `${text(each.kind)} `,
          text(each.kind) === 'client'
            ? h('a', { href: `#/jobs?client=${encodeURIComponent(text(each.id))}` }, text(each.id))
            : link(PAGES[text(each.kind)] ?? '', each.id),
        ),
      ),
    ),
  ]
}
