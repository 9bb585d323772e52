// A worker's card: layer by layer, what is proven by hardware, derived by who verifies, asserted, or unknown.
import { type Row, row, text } from '../index-api.js'
import { badge } from '../ui/checks.js'
import { type Child, h } from '../ui/dom.js'
import { link, unit, when } from '../ui/format.js'
import { Again, byMark, Figures } from './again.js'
import { counted, eventTable, facts, jobTable, state } from './parts.js'
import type { Source } from './source.js'

type Ground = 'hardware-proven' | 'verifier-derived' | 'asserted' | 'unknown'
const KINDS: Record<Ground, string> = {
  'hardware-proven': 'good',
  'verifier-derived': 'good',
  asserted: 'open',
  unknown: 'said',
}

interface Layer {
  readonly name: string
  readonly ground: Ground
  readonly what: string
  readonly why: string
}

/** Of a registration's record; a simulated quote proves nothing of hardware. */
export function layers(one: Row): Layer[] {
  const real = one.level === 'hardware'
  const quoted: Ground = real ? 'hardware-proven' : 'asserted'
  const by = real
    ? "in the quote that Intel's root vouches for, which the chain verified"
    : 'in a quote under the development root, whose key is public: anybody could write it'
  return [
    {
      name: 'processor and its firmware (TCB)',
      ground: quoted,
      what: real ? 'a genuine TDX machine, TCB UpToDate when it registered' : 'none',
      why: by,
    },
    { name: 'software (measurement)', ground: quoted, what: text(one.measurement), why: by },
    {
      name: 'keys (HPKE and receipts) made in the enclave',
      ground: quoted,
      what: text(one.receipt_key),
      why: `bound in report_data, ${by}`,
    },
    {
      name: 'which source the measurement is of',
      ground: 'verifier-derived',
      what: 'rebuild the enclave, and compare',
      why: 'the chain holds a number and a label; who audits the build derives the number (docs/enclave.md)',
    },
    {
      name: 'answers (model on committed input)',
      ground: 'verifier-derived',
      what: 'a zero-knowledge proof a job',
      why: "each job's page verifies it in your browser, whatever the hardware",
    },
    {
      name: 'who operates it',
      ground: 'asserted',
      what: text(one.account ?? one.id),
      why: 'an account; nothing ties it to a person or a firm',
    },
    {
      name: 'where it answers',
      ground: 'asserted',
      what: text(one.endpoint) || 'no address registered',
      why: "the operator's own text, shown and not followed",
    },
    {
      name: 'where the machine stands',
      ground: 'unknown',
      what: 'not in a quote',
      why: 'TDX says nothing of the place',
    },
    {
      name: 'physical access, side channels',
      ground: 'unknown',
      what: 'not in a quote',
      why: 'outside of what attestation can show (docs/threat-model.md)',
    },
  ]
}

export async function worker(id: string, _asked: URLSearchParams, source: Source): Promise<Child> {
  const again = new Again(source)
  const found = await again.ask(`workers/${id}`)
  const one = { ...row(found.worker), serving: row(found.serving) }
  const figures = again.add(new Figures(one), again.record('worker', one))
  const events = eventTable('Events', found.events, again)
  const jobs = jobTable('Latest jobs', found.jobs, again)
  again.begin()
  return [
    h('h1', {}, 'Worker ', h('span', { class: 'mono' }, text(row(found.worker).id))),
    again.banner,
    h('h2', {}, 'What is known of it, and by what'),
    figures.of(card, 'div'),
    h('h2', {}, 'Registration'),
    facts([
      ['level', figures.of((it) => state(it.level))],
      ['epoch', figures.of((it) => text(it.epoch))],
      ['registered in', figures.of((it) => link('blocks', it.registered_at, text(it.registered_at)))],
      ['until', figures.of((it) => when(it.expires_at))],
      ['stake', figures.of((it) => unit(it.stake))],
      ['open claims', figures.of((it) => text(it.open_claims))],
      ['claims ended', figures.of((it) => counted(it.tally))],
      ['jobs', [counted(found.statuses), ' ', byMark('index')]],
      ['state', figures.of(standing)],
      ['serves', figures.of(serves, 'div')],
    ]),
    h('h2', {}, 'What happened to it'),
    events,
    h('h2', {}, 'Latest jobs'),
    jobs,
  ]
}

const card = (one: Row): Child =>
  h(
    'ol',
    { class: 'checks' },
    layers(one).map((layer) =>
      h(
        'li',
        { class: 'check', 'data-layer': layer.name, 'data-ground': layer.ground },
        h(
          'div',
          { class: 'check-head' },
          badge(layer.ground, KINDS[layer.ground]),
          h('span', { class: 'check-name' }, layer.name),
        ),
        h('p', { class: 'detail mono' }, layer.what),
        h('p', { class: 'detail muted' }, layer.why),
      ),
    ),
  )

export function standing(one: Row): string {
  if (one.gone === true) return 'withdrawn'
  if (one.banned === true) return 'banned'
  return one.retired_at === null ? 'registered' : `retired in block ${text(one.retired_at)}`
}

function serves(one: Row): Child {
  const served = Object.entries(row(one.serving)).sort(([a], [b]) => (a < b ? -1 : 1))
  if (!served.length) return 'nothing'
  return h(
    'ul',
    {},
    served.map(([model, price]) => h('li', {}, link('models', model), ` for ${unit(price)}`)),
  )
}
