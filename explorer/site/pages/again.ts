// What the index says of a page, read again from the chain by this browser. Each figure says which it is.
import type { Chain, Event, Head } from '../chain/chain.js'
import { eventRow, KINDS, MANY, type RecordKind, readRecord } from '../chain/records.js'
import { askAt, type Row, text } from '../index-api.js'
import { badge } from '../ui/checks.js'
import { type Child, fill, h } from '../ui/dom.js'
import { hex0x, unhex } from '../verify/bytes.js'
import { otherChain, type Source } from './source.js'

/** Whose word a figure is: the index's, the node's, nobody's (proved); `differs` is the chain's, not the index's. */
export type By = 'index' | 'node' | 'proved' | 'differs' | 'gone'
const MARKS: Record<By, [label: string, kind: string]> = {
  index: ['index', 'said'],
  node: ['node', 'said'],
  proved: ['proved', 'good'],
  differs: ['differs', 'bad'],
  gone: ['index: left the state', 'said'],
}
const AT_ONCE = 6
/** Blocks behind the head at which nodes that prune still have the state. */
const RECENT = 200
/** How often the chain is opened anew, a second apart, to come to the block that the index is at. */
const TRIES = 5

/** The row of a record as the chain has it; null when it has none. `gone` when it may rightly have left the state. */
export type Reading = (chain: Chain, head: Head) => Promise<Row | null | 'gone'>

export const byMark = (by: By): HTMLElement => {
  const [label, kind] = MARKS[by]
  return h('small', { 'data-by': by }, badge(label, kind))
}

/** Figures of one record: as the index has them, until `settle` is given what the chain has. */
export class Figures {
  private readonly shown: [place: HTMLElement, of: (one: Row) => Child][] = []

  /** `marked`: each says for itself whose word it is; else one mark says it of all. */
  constructor(
    readonly indexed: Row,
    private readonly marked = true,
  ) {}

  of(show: (one: Row) => Child, tag: 'span' | 'div' = 'span'): HTMLElement {
    const place = h(tag, {}, show(this.indexed))
    this.shown.push([place, show])
    return h(tag, { class: 'figure' }, place, this.marked && [' ', byMark('index')])
  }

  /** Show the chain's; how many differ from the index's. */
  settle(found: Row, by: By): number {
    return this.shown.filter(([place, show]) => {
      const [told, before] = [place.textContent ?? '', [...place.childNodes]]
      fill(place, show(found))
      const differs = place.textContent !== told
      if (differs) place.append(place.tagName === 'DIV' ? kept(before) : besides(told))
      const mark = place.nextElementSibling
      if (mark) mark.replaceWith(byMark(differs ? 'differs' : by))
      return differs
    }).length
  }

  get count(): number {
    return this.shown.length
  }
}

const besides = (told: string): HTMLElement => h('span', { class: 'muted' }, ` (the index has ${told || 'nothing'})`)
const kept = (before: readonly Node[]): HTMLElement => h('details', {}, h('summary', {}, 'what the index has'), before)

interface Task {
  readonly figures: Figures
  readonly mark: HTMLElement | null
  readonly reading: Reading
}

interface Timed {
  readonly time: number
  readonly events: readonly Event[]
}

async function timedEvents(chain: Chain, block: number): Promise<Timed> {
  const at = await chain.blockHash(block)
  const [time, events] = await Promise.all([chain.timestamp(at), chain.events(at)])
  return { time, events }
}

/** All that a page reads again, and a line that says how it went. */
export class Again {
  readonly banner = h('div', { class: 'again muted', role: 'status' })
  private readonly tasks: Task[] = []
  private readonly listed: [kind: RecordKind, ids: readonly string[]][] = []
  private readonly events = new Map<number, Promise<Timed>>()
  private readonly told = { same: 0, differs: 0, gone: 0, missing: 0, why: '' }
  private indexed: number | null = null

  constructor(private readonly source: Source) {}

  /** Ask the index. What it says is read again as the chain was at the block that the answer is of. */
  async ask<T = Row>(path: string): Promise<T> {
    const [value, block] = await askAt<T>(path)
    this.indexed = block
    return value
  }

  /** Figures of a record to be read again; `mark` is where one word of all of them goes. */
  add(figures: Figures, reading: Reading, mark: HTMLElement | null = null): Figures {
    this.tasks.push({ figures, reading, mark })
    return figures
  }

  /** That a list of the index has every record of the chain. */
  whole(kind: RecordKind, ids: readonly string[]): void {
    this.listed.push([kind, ids])
  }

  /** A record by its id. One that the index says has left the state is read before it did. */
  record(kind: RecordKind, one: Row): Reading {
    return async (chain, head) => {
      const key = unhex(text(one.id).replace(/^0x/, ''))
      const found = await readRecord(chain, head.hash, kind, key)
      if (kind === 'job' && found === null) return 'gone'
      const gone = found === null && one.gone === true
      const read = gone ? await readRecord(chain, await chain.blockHash(Number(one.block) - 1), kind, key) : found
      return read && { ...read, id: hex0x(key), account: hex0x(key), gone }
    }
  }

  /** An event by its block and its place there. */
  event(one: Row): Reading {
    return async (chain) => {
      const block = Number(one.block)
      const reading = this.events.get(block) ?? timedEvents(chain, block)
      this.events.set(block, reading)
      const { time, events } = await reading
      const found = events[Number(one.place)]
      return found ? { block, place: one.place, time, ...eventRow(found) } : null
    }
  }

  /** A block's hash, time and number of extrinsics. */
  block(one: Row): Reading {
    return async (chain) => {
      const number = Number(one.number)
      const hash = await chain.blockHash(number)
      const [time, all] = await Promise.all([number ? chain.timestamp(hash) : 0, chain.extrinsics(hash)])
      return { number, hash, time, extrinsics: all.length }
    }
  }

  /** An extrinsic by its place in a block. */
  extrinsic(block: number, one: Row): Reading {
    return async (chain) => {
      const found = (await chain.extrinsics(await chain.blockHash(block)))[Number(one.place)]
      const call = found?.calls[0]
      if (!found) return null
      const signer = call?.signer ? hex0x(call.signer) : null
      return { hash: found.hash, signer, call: call ? `${call.pallet}.${call.name}` : 'unknown' }
    }
  }

  /** Read, once the page is shown; it ends when the reader goes to another one. */
  begin(): void {
    void this.read().catch((error: Error) => this.failed(error))
  }

  private failed(error: Error): void {
    this.say('failed', `Not read again from the chain: ${error.message}. Every figure here is the index's word.`)
  }

  private say(state: string, ...what: Child[]): void {
    this.banner.setAttribute('data-again', state)
    fill(this.banner, h('p', {}, what))
  }

  private async read(): Promise<void> {
    const place = location.hash
    this.say('reading', `Reading it again from the chain: ${this.source.name}`)
    const chain = await this.reached()
    try {
      if (chain.genesis !== this.source.genesis) {
        this.banner.setAttribute('data-again', 'other')
        return fill(this.banner, otherChain(chain.genesis, this.source.genesis))
      }
      const newest = await chain.finalised()
      const head = await this.same(chain, newest)
      const waiting = [...this.tasks]
      const work = async () => {
        for (let next = waiting.shift(); next && location.hash === place; next = waiting.shift())
          await this.one(next, chain, head)
      }
      await Promise.all(Array.from({ length: AT_ONCE }, work))
      const omitted = await Promise.all(this.listed.map(([kind, ids]) => this.omitted(chain, head, kind, ids)))
      this.summary(chain, head, newest, omitted.flat())
    } finally {
      chain.release()
    }
  }

  /** The chain, once its head is not before the index's; an index that is ahead for long has made it up. */
  private async reached(): Promise<Chain> {
    for (let tries = 1; ; tries++) {
      const chain = await this.source.open()
      if (tries === TRIES || (await chain.finalised()).number >= (this.indexed ?? 0)) return chain
      chain.release()
      await new Promise((done) => setTimeout(done, 1000))
    }
  }

  /** The block that the index is at, if that is recent: an honest index differs from it in nothing. Else the head. */
  private async same(chain: Chain, newest: Head): Promise<Head> {
    const number = this.indexed
    if (number === null || number > newest.number || number <= newest.number - RECENT) return newest
    return number === newest.number ? newest : { number, hash: await chain.blockHash(number) }
  }

  private async one({ figures, mark, reading }: Task, chain: Chain, head: Head): Promise<void> {
    const { told } = this
    const by = (one: By) => mark && fill(mark, byMark(one))
    try {
      const found = await reading(chain, head)
      if (found === 'gone') {
        told.gone += figures.count
        by('gone')
      } else if (found === null) {
        told.differs += figures.count
        by('differs')
        told.why ||= `the chain has no such record as ${text(figures.indexed.id ?? figures.indexed.block)}`
      } else {
        const word = chain.proved ? 'proved' : 'node'
        const differ = figures.settle(found, word)
        told.differs += differ
        told.same += figures.count - differ
        by(differ ? 'differs' : word)
      }
    } catch (error) {
      told.missing += figures.count
      told.why ||= (error as Error).message
    }
  }

  /** Ids of records that the chain has and the list has not. */
  private async omitted(chain: Chain, head: Head, kind: RecordKind, ids: readonly string[]): Promise<string[]> {
    const keys = await chain.keys(head.hash, KINDS[kind].item, MANY)
    const known = new Set(ids)
    return keys.map((key) => hex0x(key.slice(-32))).filter((id) => !known.has(id))
  }

  /** How the block that was read stands to the index's and to the chain's newest. */
  private standing(head: Head, newest: Head): string {
    if (this.indexed === null) return ''
    if (head.number !== this.indexed) return ` (the index says that it is at block ${this.indexed})`
    const behind = newest.number - head.number
    return behind ? `, where the index is, ${behind} before the newest` : ''
  }

  private summary(chain: Chain, head: Head, newest: Head, omitted: readonly string[]): void {
    const { same, differs, gone, missing, why } = this.told
    const lies = differs > 0 || omitted.length > 0
    this.say(
      lies ? 'differs' : missing ? 'incomplete' : 'same',
      lies && badge('the index is not the chain', 'bad'),
      ` Read again by this browser at block ${head.number}${this.standing(head, newest)}, ${chain.witness}. `,
      `Figures that agree: ${same}; that differ: ${differs}${differs ? " (the chain's are shown)" : ''}`,
      gone > 0 && `; of jobs that have left the chain's state: ${gone}`,
      missing > 0 && `; that could not be read: ${missing}`,
      why && ` (${why})`,
      omitted.length > 0 && `; records that the index leaves out: ${omitted.length} (${omitted.slice(0, 5).join(' ')})`,
      '. All others are the index’s word.',
    )
  }
}
