// Jobs with filters, workers, models, market, attestation, blocks, search.
import { ask, row, rows, text } from '../index-api.js'
import { type Child, h } from '../ui/dom.js'
import { link, short, unit, when } from '../ui/format.js'
import { hex } from '../verify/bytes.js'
import { sha256 } from '../verify/hashes.js'
import { byIndex, counted, eventTable, facts, jobTable, state, table } from './parts.js'

const FILTERS = ['status', 'level', 'model', 'worker', 'client'] as const

export async function jobs(_: string, asked: URLSearchParams): Promise<Child> {
  const wanted = new URLSearchParams()
  for (const name of [...FILTERS, 'before']) {
    const value = asked.get(name)
    if (value) wanted.set(name, value)
  }
  const found = await ask(`jobs?${wanted}`)
  const next = new URLSearchParams(wanted)
  if (found.next !== null) next.set('before', text(found.next))
  return [
    h('h1', {}, 'Jobs'),
    filters(wanted),
    byIndex('Jobs'),
    jobTable('Jobs, the newest first', found.jobs),
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

export async function workers(): Promise<Child> {
  return [
    h('h1', {}, 'Workers'),
    byIndex('Registrations'),
    table(
      'Workers',
      [
        { name: 'worker', of: (one) => link('workers', one.id) },
        { name: 'level', of: (one) => state(one.level) },
        {
          name: 'state',
          of: (one) =>
            one.gone ? 'withdrawn' : one.banned ? 'banned' : one.retired_at === null ? 'registered' : 'retired',
        },
        { name: 'accepted', number: true, of: (one) => text(row(one.tally).accepted) },
        { name: 'rejected', number: true, of: (one) => text(row(one.tally).rejected) },
        { name: 'lapsed', number: true, of: (one) => text(row(one.tally).lapsed) },
        { name: 'stake', number: true, of: (one) => unit(one.stake) },
        {
          name: 'measurement',
          of: (one) => h('span', { class: 'mono', title: text(one.measurement) }, short(text(one.measurement))),
        },
        { name: 'until', of: (one) => when(one.expires_at) },
      ],
      rows(await ask('workers')),
    ),
  ]
}

export async function models(): Promise<Child> {
  return [
    h('h1', {}, 'Models'),
    byIndex('Records'),
    table(
      'Models',
      [
        { name: 'model', of: (one) => link('models', one.id) },
        { name: "name (publisher's word)", of: (one) => text(one.name) },
        { name: 'lane', of: (one) => text(one.lane) },
        { name: 'setup', of: (one) => text(one.setup) },
        { name: 'least price', number: true, of: (one) => unit(row(one.terms).price) },
        { name: 'state', of: (one) => (one.gone ? 'removed' : one.retired_at === null ? 'live' : 'retired') },
        {
          name: 'publisher',
          of: (one) => h('span', { class: 'mono', title: text(one.publisher) }, short(text(one.publisher))),
        },
      ],
      rows(await ask('models')),
    ),
  ]
}

export async function model(id: string): Promise<Child> {
  const found = await ask(`models/${id}`)
  const one = row(found.model)
  const mono = (value: unknown) => h('span', { class: 'mono' }, text(value))
  const digest = text(one.manifest_hash).slice(2)
  const place = h('div', {}, h('p', { class: 'muted' }, 'looking for its artefact'))
  void accuracy(digest, place)
  return [
    h('h1', {}, `Model ${text(one.name)}`),
    byIndex('The record'),
    facts([
      ['id', mono(one.id)],
      ['publisher', mono(one.publisher)],
      ['lane', text(one.lane)],
      ['setup', link('setups', id, text(one.setup) || undefined)],
      ['least price', unit(row(one.terms).price)],
      ["publisher's share", `${text(row(one.terms).share)} millionths`],
      ['bond of a claim', unit(row(one.terms).bond)],
      ['life of a claim', `${text(row(one.terms).claim_blocks)} blocks`],
      ['input', `${JSON.stringify(one.input_shape)}, at most ${text(one.batch)} records a job`],
      ['weights (SHA-256)', mono(one.weights_digest)],
      ['manifest (SHA-256)', mono(one.manifest_hash)],
      ['verifying key (SHA-256)', mono(one.key_hash)],
      ['circuit', mono(one.circuit_digest)],
      ['published in', link('blocks', one.published_at, text(one.published_at))],
      ['jobs', counted(found.statuses)],
    ]),
    h('h2', {}, 'Accuracy and setup'),
    place,
    h('h2', {}, 'What happened to it'),
    eventTable('Events', found.events),
    h('h2', {}, 'Latest jobs'),
    jobTable('Latest jobs', found.jobs),
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
        "The manifest has the record's hash, compared in this browser; accuracy is the publisher's word (`proofward model audit` measures it).",
      ),
    )
  } catch (error) {
    place.replaceChildren(h('p', { class: 'muted' }, (error as Error).message))
  }
}

export async function market(): Promise<Child> {
  const found = await ask('market')
  const earned = (kind: string) => [
    { name: kind.slice(0, -1), of: (one: Record<string, unknown>) => link(kind, one.id) },
    { name: 'accepted jobs', number: true, of: (one: Record<string, unknown>) => text(one.jobs) },
    { name: 'inferences in sessions', number: true, of: (one: Record<string, unknown>) => text(one.records) },
    { name: 'to workers', number: true, of: (one: Record<string, unknown>) => unit(one.paid) },
    { name: 'to publishers', number: true, of: (one: Record<string, unknown>) => unit(one.royalty) },
  ]
  return [
    h('h1', {}, 'Market'),
    byIndex('Fees, bonds and slashes'),
    h('h2', {}, 'Paid, by model'),
    table('By model', earned('models'), rows(found.models)),
    h('h2', {}, 'Paid, by worker'),
    table('By worker', earned('workers'), rows(found.workers)),
    h('h2', {}, 'Bonds cut, stakes slashed'),
    eventTable('The latest', found.lost),
  ]
}

export async function attestation(): Promise<Child> {
  const found = await ask('attestation')
  const mono = (value: unknown) => h('span', { class: 'mono' }, text(value))
  const allowed = Object.entries(row(found.measurements)).map(([id, label]) => ({ id, label }))
  return [
    h('h1', {}, 'Measurements and roots'),
    byIndex('State of the last block'),
    h('h2', {}, 'Software that may work'),
    table(
      'Measurements on the allow-list',
      [
        { name: 'measurement', of: (one) => mono(one.id) },
        { name: 'label', of: (one) => text(one.label) },
      ],
      allowed,
    ),
    h('h2', {}, 'Roots of quotes'),
    table(
      'Trust roots',
      [
        { name: 'SHA-256', of: (one) => mono(one.id) },
        { name: 'level', of: (one) => state(one.level) },
      ],
      rows(found.roots),
    ),
    h('h2', {}, 'Demands on platforms'),
    facts(Object.entries(row(found.policy)).map(([name, value]) => [name.replaceAll('_', ' '), JSON.stringify(value)])),
    h('h2', {}, 'Collateral'),
    table(
      'Collateral by family of platforms',
      [
        { name: 'family', of: (one) => mono(one.fmspc) },
        { name: 'authority', of: (one) => text(one.authority) },
        { name: 'expires', of: (one) => when(one.expires_at) },
        { name: 'bytes', number: true, of: (one) => text(one.bytes) },
      ],
      rows(found.collateral),
    ),
    h('h2', {}, 'How it came about'),
    eventTable('Events', found.events),
  ]
}

export async function block(number: string): Promise<Child> {
  const found = await ask(`blocks/${number}`)
  const one = row(found.block)
  return [
    h('h1', {}, `Block ${text(one.number)}`),
    byIndex('The block'),
    facts([
      ['hash', h('span', { class: 'mono' }, text(one.hash))],
      ['time', when(one.time)],
    ]),
    table(
      'Calls',
      [
        { name: 'call', of: (call) => text(call.call) },
        {
          name: 'signer',
          of: (call) => h('span', { class: 'mono', title: text(call.signer) }, short(text(call.signer))),
        },
        { name: 'extrinsic', of: (call) => h('span', { class: 'mono' }, text(call.hash)) },
      ],
      rows(found.extrinsics),
    ),
    eventTable('Events', found.events),
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
