// What several pages share: tables, tiles, the badge of a status, the list of jobs.
import type { Row } from '../index-api.js'
import { rows, text } from '../index-api.js'
import { badge } from '../ui/checks.js'
import { type Child, h } from '../ui/dom.js'
import { count, link, unit } from '../ui/format.js'
import { type Again, byMark, Figures, type Reading } from './again.js'

const KINDS: Record<string, string> = {
  accepted: 'good',
  refunded: 'open',
  claimed: 'said',
  queued: 'said',
  hardware: 'good',
  simulated: 'open',
}

export const state = (value: unknown): HTMLElement => badge(text(value) || 'none', KINDS[text(value)] ?? 'said')

export interface Column {
  readonly name: string
  readonly number?: boolean
  readonly of: (one: Row) => Child
  /** A figure that is the index's alone, where rows are read again. */
  readonly sum?: boolean
}

/** How a page reads each row of a table again from the chain. */
export type Rereading = readonly [again: Again, reading: (one: Row) => Reading]

/** With `again` a last column, which stays in sight, says of each row whose word it is. */
export function table(
  caption: string,
  columns: readonly Column[],
  data: readonly Row[],
  again?: Rereading,
): HTMLElement {
  if (!data.length) return h('p', { class: 'muted' }, `${caption}: none.`)
  const kind = (column: Column) => (column.number ? 'number' : '')
  const cells = (one: Row): Child => {
    const cell = (column: Column, content: Child) => h('td', { class: kind(column) }, content)
    if (!again) return columns.map((column) => cell(column, column.of(one)))
    const [reads, reading] = again
    const [figures, mark] = [new Figures(one, false), h('td', { class: 'word' }, byMark('index'))]
    const made = columns.map((column) => cell(column, column.sum ? column.of(one) : figures.of(column.of)))
    reads.add(figures, reading(one), mark)
    return [made, mark]
  }
  return h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    h(
      'table',
      {},
      h('caption', {}, caption),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          columns.map((column) =>
            h('th', { scope: 'col', class: kind(column) }, column.name, again && column.sum ? ' (index)' : ''),
          ),
          again ? h('th', { scope: 'col', class: 'word' }, 'whose word') : null,
        ),
      ),
      h(
        'tbody',
        {},
        data.map((one) => h('tr', {}, cells(one))),
      ),
    ),
  )
}

export const jobTable = (caption: string, data: unknown, again: Again): HTMLElement =>
  table(
    caption,
    [
      { name: 'job', of: (one) => link('jobs', one.id) },
      { name: 'status', of: (one) => state(one.status) },
      { name: 'level', of: (one) => (one.level ? state(one.level) : '') },
      { name: 'setup', of: (one) => text(one.setup) },
      { name: 'model', of: (one) => link('models', one.model) },
      { name: 'worker', of: (one) => (one.worker ? link('workers', one.worker) : '') },
      { name: 'price', number: true, of: (one) => unit(one.price) },
      { name: 'block', number: true, of: (one) => link('blocks', one.submitted_at, text(one.submitted_at)) },
    ],
    rows(data),
    [again, (one) => again.record('job', one)],
  )

export const tiles = (facts: readonly [string, Child][]): HTMLElement =>
  h(
    'ul',
    { class: 'tiles' },
    facts.map(([name, value]) => h('li', { class: 'panel' }, h('strong', {}, value), name)),
  )

export const facts = (list: readonly [string, Child][]): HTMLElement =>
  h(
    'dl',
    {},
    list.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]),
  )

/** Events of the index, as lines, each read again in its block. */
export const eventTable = (caption: string, data: unknown, again: Again): HTMLElement =>
  table(
    caption,
    [
      { name: 'block', number: true, of: (one) => link('blocks', one.block, text(one.block)) },
      { name: 'event', of: (one) => `${text(one.pallet)}.${text(one.name)}` },
      { name: 'what', of: (one) => h('span', { class: 'mono' }, described(one.fields)) },
    ],
    rows(data),
    [again, (one) => again.event(one)],
  )

const AMOUNTS = new Set([
  'paid',
  'royalty',
  'bond_cut',
  'slashed',
  'amount',
  'price',
  'min_price',
  'stake',
  'refunded',
  'bond',
  'escrow',
  'deposit',
  'fee',
  'floor',
])

export function described(fields: unknown): string {
  if (fields === null || typeof fields !== 'object') return ''
  return Object.entries(fields)
    .map(
      ([name, value]) =>
        `${name}: ${AMOUNTS.has(name) ? unit(value) : typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
    )
    .join(', ')
}

export const counted = (statuses: unknown): string =>
  Object.entries((statuses ?? {}) as Record<string, number>)
    .map(([name, n]) => `${count(n)} ${name}`)
    .join(', ') || 'none'
