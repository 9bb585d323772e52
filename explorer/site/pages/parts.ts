// What several pages share: tables, tiles, the badge of a status, the list of jobs.
import type { Row } from '../index-api.js'
import { rows, text } from '../index-api.js'
import { badge } from '../ui/checks.js'
import { type Child, h } from '../ui/dom.js'
import { count, link, unit } from '../ui/format.js'

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
}

export function table(caption: string, columns: readonly Column[], data: readonly Row[]): HTMLElement {
  if (!data.length) return h('p', { class: 'muted' }, `${caption}: none.`)
  const kind = (column: Column) => (column.number ? 'number' : '')
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
          columns.map((column) => h('th', { scope: 'col', class: kind(column) }, column.name)),
        ),
      ),
      h(
        'tbody',
        {},
        data.map((one) =>
          h(
            'tr',
            {},
            columns.map((column) => h('td', { class: kind(column) }, column.of(one))),
          ),
        ),
      ),
    ),
  )
}

export const jobTable = (caption: string, data: unknown): HTMLElement =>
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

/** Events of the index, as lines. */
export const eventTable = (caption: string, data: unknown): HTMLElement =>
  table(
    caption,
    [
      { name: 'block', number: true, of: (one) => link('blocks', one.block, text(one.block)) },
      { name: 'event', of: (one) => `${text(one.pallet)}.${text(one.name)}` },
      { name: 'what', of: (one) => h('span', { class: 'mono' }, described(one.fields)) },
    ],
    rows(data),
  )

const AMOUNTS = new Set(['paid', 'royalty', 'bond_cut', 'slashed', 'amount', 'price', 'min_price', 'stake'])

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

/** Where what answered is of another chain than the index; false where it is not. */
export const otherChain = (answered: string, indexed: string): Child =>
  answered !== indexed &&
  h(
    'p',
    { class: 'error', role: 'alert', 'data-chain': 'other' },
    `This is another chain than the index's: genesis ${answered}, the index has ${indexed}.`,
  )

export const byIndex = (what: string): HTMLElement =>
  h('p', { class: 'muted' }, `${what} as this explorer's index has it: a convenience, not evidence.`)
