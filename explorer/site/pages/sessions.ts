// Sessions: what was committed and what was proved of it, as the index has it.
import { ask, type Row, row, rows, text } from '../index-api.js'
import { type Child, h } from '../ui/dom.js'
import { count, link, short, unit } from '../ui/format.js'
import { byIndex, eventTable, facts, state, table, tiles } from './parts.js'

const mono = (value: unknown): HTMLElement => h('span', { class: 'mono' }, text(value))
const total = (found: Row[], name: string): string => count(found.reduce((sum, one) => sum + Number(one[name] ?? 0), 0))
const stands = (one: Row): string => (one.gone === true ? 'ended' : 'runs')

export async function sessions(): Promise<Child> {
  const found = rows(await ask<unknown>('sessions'))
  return [
    h('h1', {}, 'Sessions'),
    byIndex('Sessions'),
    tiles([
      ['sessions', count(found.length)],
      ['records committed', total(found, 'records')],
      ['pages committed', total(found, 'pages')],
      ['pages proved', total(found, 'proved')],
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
      found,
    ),
  ]
}

export async function session(id: string): Promise<Child> {
  const found = await ask(`sessions/${id}`)
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
    h('p', {}, 'What it is worth: ', h('code', {}, `proofward session audit ${text(one.id)}`)),
    h('h2', {}, 'What happened to it'),
    eventTable('Events', found.events),
  ]
}
