// Sessions: what was committed and what was proved of it, as the index has it.
import { ask, type Row, row, rows, text } from '../index-api.js'
import { type Child, h } from '../ui/dom.js'
import { count, link, short, unit } from '../ui/format.js'
import { byIndex, eventTable, facts, state, table, tiles } from './parts.js'

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

export async function sessions(_: string, asked: URLSearchParams): Promise<Child> {
  const found = await ask(asking('sessions', asked))
  const totals = row(found.totals)
  return [
    h('h1', {}, 'Sessions'),
    byIndex('Sessions'),
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
        { name: 'proved', number: true, of: (one) => text(one.proved) },
        { name: 'level', of: (one) => state(one.level) },
      ],
      rows(found.sessions),
    ),
    older('sessions', found.next, 'older sessions'),
  ]
}

export async function session(id: string, asked: URLSearchParams): Promise<Child> {
  const found = await ask(asking(`sessions/${id}`, asked))
  const one = row(found.session)
  return [
    h('h1', {}, 'Session'),
    byIndex('The record, as it was when it last changed,'),
    facts([
      ['id', mono(one.id)],
      ['state', stands(one)],
      ['client', mono(one.client)],
      ['worker', link('workers', one.worker, text(one.worker))],
      ['model', link('models', one.model, text(one.model))],
      ['level', state(one.level)],
      ['price of an inference', unit(one.price)],
      ['escrow', unit(one.escrow)],
      ['bond', unit(one.bond)],
      ['records committed', text(one.records)],
      ['pages committed', text(one.pages)],
      ['pages proved', text(one.proved)],
      ['records paid', text(one.paid)],
      ['opened in', link('blocks', one.opened_at, text(one.opened_at))],
      ['ends in block', text(one.end)],
    ]),
    h('p', {}, 'What it is worth: ', h('code', { class: 'mono' }, `proofward session audit ${text(one.id)}`)),
    h('h2', {}, 'What happened to it'),
    eventTable('Events', found.events),
    older(`sessions/${id}`, found.next, 'earlier events'),
  ]
}
