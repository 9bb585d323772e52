import { type Row, row, rows, text } from '../index-api.js'
import { bars } from '../ui/chart.js'
import { type Child, h } from '../ui/dom.js'
import { count, link, short, unit, when } from '../ui/format.js'
import { Again, byMark } from './again.js'
import { counted, jobTable, table, tiles } from './parts.js'
import type { Source } from './source.js'

export async function overview(_: string, _asked: URLSearchParams, source: Source): Promise<Child> {
  const again = new Again(source)
  const found = await again.ask('overview')
  const [statuses, sessions, records, recent, head] = [
    row(found.statuses),
    row(found.sessions),
    row(found.records),
    row(found.recent),
    row(found.head),
  ]
  const total = Object.values(statuses).reduce((sum: number, n) => sum + Number(n), 0)
  const days = rows(found.days)
  const day = (one: Row) => when(one.day).slice(5, 10)
  const number = (value: unknown) => Number(value ?? 0)
  again.begin()
  return [
    h('h1', {}, text(head.name) || 'The network'),
    again.banner,
    h(
      'p',
      { class: 'muted' },
      byMark('index'),
      ' Tiles and charts are sums over every block: no state of the chain has them.',
    ),
    tiles([
      ['jobs', count(total)],
      ['accepted', count(number(statuses.accepted))],
      ['refunded', count(number(statuses.refunded))],
      ['open', count(number(statuses.queued) + number(statuses.claimed))],
      ['in escrow', unit(found.escrow)],
      ['workers', count(number(records.worker))],
      ['models', count(number(records.model))],
      ['sessions', count(number(sessions.count))],
      ['records in sessions', count(number(sessions.records))],
      ['pages committed', count(number(sessions.pages))],
      ['pages proved', count(number(sessions.proved))],
      ['levels of results', counted(found.levels)],
      ['proof, latest 1,000', recent.proof_bytes === null ? 'none' : `${number(recent.proof_bytes).toFixed(0)} bytes`],
      ['submission to verdict', recent.seconds === null ? 'none' : `${number(recent.seconds).toFixed(1)} s`],
    ]),
    h(
      'div',
      { class: 'grid' },
      bars(
        'Jobs a day: accepted, and others',
        ['accepted', 'others'],
        days.map((one) => ({
          label: day(one),
          values: [number(one.accepted), number(one.refunded) + number(one.queued) + number(one.claimed)],
        })),
      ),
      bars(
        'Seconds from submission to verdict, by day',
        ['seconds'],
        days.map((one) => ({ label: day(one), values: [Math.round(number(one.seconds) * 10) / 10] })),
      ),
    ),
    h('h2', {}, 'Latest jobs'),
    jobTable('Latest jobs', found.jobs, again),
    h('h2', {}, 'Latest blocks'),
    table(
      'Latest finalised blocks',
      [
        { name: 'block', number: true, of: (one) => link('blocks', one.number, text(one.number)) },
        { name: 'time', of: (one) => when(one.time) },
        { name: 'extrinsics', number: true, of: (one) => text(one.extrinsics) },
        { name: 'hash', of: (one) => h('span', { class: 'mono' }, short(text(one.hash))) },
      ],
      rows(found.blocks),
      [again, (one) => again.block(one)],
    ),
  ]
}
