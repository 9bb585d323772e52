// Members and finality: who validates and votes, what is announced, and how far behind finality is.
import { type Consortium, consortium, type Member } from '../chain/consortium.js'
import { row, rows } from '../index-api.js'
import { badge } from '../ui/checks.js'
import { type Child, fill, h } from '../ui/dom.js'
import { link, when } from '../ui/format.js'
import { Again } from './again.js'
import { eventTable, facts, table, tiles } from './parts.js'
import { otherChain, type Source } from './source.js'

const mono = (text: string): HTMLElement => h('span', { class: 'mono' }, text)
const list = (all: readonly string[]): Child => all.map((one) => h('div', { class: 'mono' }, one))

export async function members(_id: string, _asked: URLSearchParams, source: Source): Promise<Child> {
  const place = h('section', { 'aria-label': 'The chain now', id: 'consortium' })
  void read(place, source)
  const again = new Again(source)
  const told = await again.ask<unknown>('consortium').then(
    (found) => eventTable('What was announced, decided and shown, the latest', rows(found).map(row), again),
    (error: Error) => h('p', { class: 'muted' }, error.message),
  )
  again.begin()
  return [h('h1', {}, 'Members and finality'), place, h('h2', {}, 'History'), again.banner, told]
}

async function read(place: HTMLElement, source: Source): Promise<void> {
  fill(place, h('p', { role: 'status' }, `reading the chain: ${source.name}`))
  try {
    const chain = await source.open()
    try {
      const found = await consortium(chain)
      const again = h('button', { type: 'button', onclick: () => void read(place, source) }, 'Read again')
      fill(
        place,
        otherChain(chain.genesis, source.genesis),
        h(
          'p',
          { class: 'muted', 'data-read': chain.proved ? 'proved' : 'said' },
          `Every figure of this section: ${chain.witness}. Best blocks are nobody's proof.`,
        ),
        h('p', {}, again),
        shownNow(found),
      )
    } finally {
      chain.release()
    }
  } catch (error) {
    fill(place, h('p', { class: 'error', role: 'alert', 'data-error': '' }, (error as Error).message))
  }
}

function shownNow(found: Consortium): Child {
  const total = found.voters.reduce((sum, [, weight]) => sum + weight, 0)
  const weak = found.members.length > 0 && found.voters.length < 4
  return [
    tiles([
      ['finalised block', link('blocks', found.head.number, String(found.head.number))],
      ['blocks that are not final yet', String(Math.max(0, found.best - found.head.number))],
      ['age of the finalised block', `${((Date.now() - found.time) / 1000).toFixed(0)} s by your clock`],
      ["GRANDPA's voters", found.voters.length ? `${found.voters.length}, weight ${total}` : 'none: no finality'],
      ['votes that finality takes', found.voters.length ? String(total - Math.floor((total - 1) / 3)) : 'none'],
      ['set of voters', String(found.setId)],
      ['session', String(found.session)],
    ]),
    weak && h('p', {}, badge('weak', 'open'), ' Fewer than four voters: no one of them may be away or dishonest.'),
    h('p', {}, 'The finalised block: ', mono(found.head.hash), `, ${when(found.time)}`),
    table(
      'Members',
      [
        { name: 'account', of: (one) => mono(String(one.account)) },
        { name: 'standing', of: (one) => standing(one as unknown as Member) },
        { name: 'weight of its vote', number: true, of: (one) => String(one.weight) },
        { name: 'endpoint', of: (one) => mono(String(one.endpoint)) },
        {
          name: 'session keys',
          of: (one) => (one.keys as Member['keys']).map(([kind, key]) => h('div', {}, `${kind} `, mono(key))),
        },
        { name: 'SHA-256 of the legal name', of: (one) => mono(String(one.legalName)) },
      ],
      found.members.map((one) => ({ ...one })),
    ),
    found.others.length > 0 &&
      h('p', {}, 'Validators that are no members (a chain without a consortium): ', list(found.others)),
    h('h2', {}, 'Governance'),
    table(
      'Notices: decided, and not in force yet',
      [
        { name: 'number', number: true, of: (one) => String(one.number) },
        { name: 'change', of: (one) => mono(String(one.change)) },
        { name: 'in force from block', number: true, of: (one) => String(one.due) },
      ],
      found.notices.map((one) => ({ ...one })),
    ),
    table(
      "The council's motions",
      [
        { name: 'motion', of: (one) => mono(String(one.hash)) },
        { name: 'call', of: (one) => mono(String(one.call)) },
        {
          name: 'for it',
          number: true,
          of: (one) => `${(one.ayes as string[]).length} of ${String(one.threshold)} needed`,
        },
        { name: 'against', number: true, of: (one) => String((one.nays as string[]).length) },
        { name: 'until block', number: true, of: (one) => String(one.end) },
      ],
      found.motions.map((one) => ({ ...one })),
    ),
    facts([
      ['seats in the council', found.seats.length ? list(found.seats) : 'none'],
      ['calls that are paused', found.paused.length ? list(found.paused) : 'none'],
      ['sudo key', found.sudo ? mono(`${found.sudo}: one key may do everything`) : 'none'],
      ...found.settings.map(([name, value]): [string, Child] => [name, value]),
    ]),
  ]
}

function standing(one: Member): HTMLElement {
  if (one.out !== null) return badge(`out since session ${one.out}`, 'bad')
  return one.validates ? badge('validates', 'good') : badge('not in this session', 'open')
}
