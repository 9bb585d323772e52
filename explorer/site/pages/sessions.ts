// Sessions: what was committed and what was proved of it, read again from the chain.
import { type Row, row, rows, text } from '../index-api.js'
import { type Child, h } from '../ui/dom.js'
import { count, link, short, unit } from '../ui/format.js'
import { Again, byMark, Figures } from './again.js'
import { eventTable, facts, state, table, tiles } from './parts.js'
import type { Source } from './source.js'

const mono = (value: unknown): HTMLElement => h('span', { class: 'mono' }, text(value))
const stands = (one: Row): string => (one.gone === true ? 'ended' : 'runs')

/** What the index is asked: `before` where the address has it. */
function asking(path: string, asked: URLSearchParams): string {
  const before = asked.get('before')
  return before ? `${path}?${new URLSearchParams({ before })}` : path
}

const older = (path: string, next: unknown, what: string): Child =>
  next !== null &&
  next !== undefined &&
  h('p', {}, h('a', { href: `#/${path}?${new URLSearchParams({ before: text(next) })}` }, what))

export async function sessions(_: string, asked: URLSearchParams, source: Source): Promise<Child> {
  const again = new Again(source)
  const found = await again.ask(asking('sessions', asked))
  const totals = row(found.totals)
  again.begin()
  return [
    h('h1', {}, 'Sessions'),
    again.banner,
    tiles([
      ['sessions', count(Number(totals.count))],
      ['records committed', count(Number(totals.records))],
      ['pages committed', count(Number(totals.pages))],
      ['pages proved', count(Number(totals.proved))],
    ]),
    h(
      'p',
      {},
      'A committed answer is the word of an attested enclave under its signature; a proved page is proved. ',
      'Which pages are proved the chain draws after they were committed.',
    ),
    table(
      'Sessions, the latest first',
      [
        { name: 'session', of: (one) => link('sessions', one.id, short(text(one.id))) },
        { name: 'state', of: (one) => state(stands(one)) },
        { name: 'worker', of: (one) => link('workers', one.worker, short(text(one.worker))) },
        { name: 'model', of: (one) => link('models', one.model, short(text(one.model))) },
        { name: 'records', number: true, of: (one) => text(one.records) },
        { name: 'pages', number: true, of: (one) => text(one.pages) },
        { name: 'proved', number: true, sum: true, of: (one) => text(one.proved) },
        { name: 'level', of: (one) => state(one.level) },
      ],
      rows(found.sessions),
      [again, (one) => again.record('session', one)],
    ),
    older('sessions', found.next, 'older sessions'),
  ]
}

export async function session(id: string, asked: URLSearchParams, source: Source): Promise<Child> {
  const again = new Again(source)
  const found = await again.ask(asking(`sessions/${id}`, asked))
  const one = row(found.session)
  const figures = again.add(new Figures(one), again.record('session', one))
  const sum = (value: unknown): Child => [text(value), ' ', byMark('index')]
  const told = facts([
    ['id', figures.of((it) => mono(it.id))],
    ['state', figures.of(stands)],
    ['client', figures.of((it) => mono(it.client))],
    ['worker', figures.of((it) => link('workers', it.worker, text(it.worker)))],
    ['model', figures.of((it) => link('models', it.model, text(it.model)))],
    ['level', figures.of((it) => state(it.level))],
    ['price of an inference', figures.of((it) => unit(it.price))],
    ['escrow', figures.of((it) => unit(it.escrow))],
    ['bond', figures.of((it) => unit(it.bond))],
    ['records committed', figures.of((it) => text(it.records))],
    ['pages committed', figures.of((it) => text(it.pages))],
    ['pages proved, the sum of the events below', sum(one.proved)],
    ['records paid, the sum of the events below', sum(one.paid)],
    ['opened in', figures.of((it) => link('blocks', it.opened_at, text(it.opened_at)))],
    ['ends in block', figures.of((it) => text(it.end))],
  ])
  const events = eventTable('Events', found.events, again)
  again.begin()
  return [
    h('h1', {}, 'Session'),
    again.banner,
    told,
    h('p', {}, 'What it is worth: ', h('code', { class: 'mono' }, `proofward session audit ${text(one.id)}`)),
    h('h2', {}, 'What happened to it'),
    events,
    older(`sessions/${id}`, found.next, 'earlier events'),
  ]
}
