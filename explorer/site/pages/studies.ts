// Studies of hospitals, and outbreaks in their published counts, with the noise beside each figure.
import { type Document, documentOf, study as readStudy, type Study } from '../chain/studies.js'
import { type Row, row, rows, text } from '../index-api.js'
import { badge } from '../ui/checks.js'
import { type Child, fill, h, svg } from '../ui/dom.js'
import { link, short } from '../ui/format.js'
import { hex0x, unhex } from '../verify/bytes.js'
import { alarms, type Counts, readCounts, scores, THRESHOLD } from '../verify/outbreak.js'
import { Again } from './again.js'
import { eventTable, facts, table, tiles } from './parts.js'
import { otherChain, type Source } from './source.js'

const MAX_FILE = 32 << 20
const MOST_CELLS = 64
const mono = (value: unknown): HTMLElement => h('span', { class: 'mono' }, text(value))

export async function studies(_: string, _asked: URLSearchParams, source: Source): Promise<Child> {
  const again = new Again(source)
  const found = rows(await again.ask<unknown>('studies'))
  const fields = (one: Row) => row(one.fields)
  again.begin()
  return [
    h('h1', {}, 'Studies and outbreaks'),
    again.banner,
    table(
      'Studies, the latest',
      [
        { name: 'study', of: (one) => link('studies', fields(one).study, short(text(fields(one).study))) },
        { name: 'researcher', of: (one) => mono(fields(one).researcher) },
        { name: 'parameters', number: true, of: (one) => text(row(fields(one).plan).dimension) },
        { name: 'rounds at most', number: true, of: (one) => text(row(fields(one).plan).rounds) },
        { name: 'block', number: true, of: (one) => link('blocks', one.block, text(one.block)) },
      ],
      found,
      [again, (one) => again.event(one)],
    ),
    h('h2', {}, 'Counts from a file'),
    h(
      'p',
      {},
      'Published counts as ',
      h('code', {}, 'proofward federation watch'),
      ' takes them: a heading with the cells, a row a week.',
    ),
    fromFile(),
  ]
}

/** A table of counts from the reader's disk, with the noise that he says it has. */
function fromFile(): HTMLElement {
  const place = h('section', { id: 'counts', 'aria-label': 'Counts' })
  const deviation = h('input', { id: 'deviation', type: 'number', min: 0, step: 'any', value: 0, inputmode: 'decimal' })
  const file = h('input', { id: 'series', type: 'file', accept: '.csv,text/csv' })
  let counts: Counts | null = null
  const show = () => {
    if (!counts) return
    try {
      fill(place, outbreaks(counts, Number(deviation.value), 'by you'))
    } catch (error) {
      fill(place, h('p', { class: 'error', role: 'alert', 'data-error': '' }, (error as Error).message))
    }
  }
  deviation.addEventListener('change', show)
  file.addEventListener('change', async () => {
    const chosen = file.files?.[0]
    if (!chosen) return
    try {
      if (chosen.size > MAX_FILE) throw new Error('the file is too large for a table of counts')
      counts = readCounts(await chosen.text())
      show()
    } catch (error) {
      fill(place, h('p', { class: 'error', role: 'alert', 'data-error': '' }, (error as Error).message))
    }
    file.value = ''
  })
  return h(
    'div',
    {},
    h(
      'form',
      { class: 'filters' },
      h('div', {}, h('label', { for: 'deviation' }, 'Deviation of the published noise, in ones'), deviation),
      h('div', {}, h('label', { for: 'series' }, 'Counts (CSV)'), file),
    ),
    place,
  )
}

export async function study(id: string, _asked: URLSearchParams, source: Source): Promise<Child> {
  const place = h('section', { id: 'study', 'aria-label': 'Study' })
  const again = new Again(source)
  const events = rows(await again.ask<unknown>(`studies/${id}`)).map(row)
  const blocks = new Map<number, number>()
  for (const one of events) {
    if (one.name === 'Published') blocks.set(Number(row(one.fields).number), Number(one.block))
  }
  void read(place, id, source, blocks)
  const told = eventTable('Events', events, again)
  again.begin()
  return [h('h1', {}, 'Study ', mono(id)), place, h('h2', {}, 'What happened to it'), again.banner, told]
}

async function read(
  place: HTMLElement,
  id: string,
  source: Source,
  blocks: ReadonlyMap<number, number>,
): Promise<void> {
  fill(place, h('p', { role: 'status' }, `reading the chain: ${source.name}`))
  try {
    const chain = await source.open()
    try {
      const found = await readStudy(chain, unhex(id.replace(/^0x/, '')), blocks)
      const witness = h(
        'p',
        { class: 'muted', 'data-read': chain.proved ? 'proved' : 'said' },
        `Terms and rounds: ${chain.witness}; each sum has the hash of its record.`,
      )
      const other = otherChain(chain.genesis, source.genesis)
      fill(place, other, witness, shown(found, chain.proved), ownDocument(found))
    } finally {
      chain.release()
    }
  } catch (error) {
    fill(place, h('p', { class: 'error', role: 'alert', 'data-error': '' }, (error as Error).message))
  }
}

function shown(found: Study, proved: boolean): Child {
  const published = proved ? 'good' : 'said'
  return [
    tiles([
      ['rounds with a sum', String(found.rounds.filter((one) => one.state === 'published').length)],
      ['sites invited', String(found.sites)],
      ['fewest sites of a sum', String(found.cohort)],
      ['parameters', String(found.dimension)],
    ]),
    facts([
      ['researcher', mono(found.researcher)],
      ['aggregator', link('workers', found.aggregator)],
      ['SHA-256 of its document', mono(hex0x(found.rule))],
      ['noise of each figure', `deviation ${found.deviation.toFixed(0)} units (a record adds at most ${found.clip})`],
    ]),
    table(
      'Rounds',
      [
        { name: 'round', number: true, of: (one) => text(one.number) },
        { name: 'state', of: (one) => badge(text(one.state), one.state === 'published' ? published : 'open') },
        { name: 'sites in the sum', number: true, of: (one) => `${text(one.present)} of ${text(one.committed)}` },
        { name: 'hash of the sums', of: (one) => mono(one.hash ?? 'none') },
        { name: 'the sums, in units', of: (one) => mono(valuesText(one.values as readonly bigint[] | null)) },
      ],
      found.rounds.map((one) => ({ ...one })),
    ),
  ]
}

function valuesText(values: readonly bigint[] | null): string {
  if (values === null) return 'not in the blocks that were read'
  const first = values.slice(0, 16).join(' ')
  return values.length > 16 ? `${first} … (${values.length})` : first
}

/** Names and units are in the study's document, which is not on the chain. */
function ownDocument(found: Study): HTMLElement {
  const place = h('div', { id: 'outbreaks' })
  const input = h('input', { type: 'file', id: 'document', accept: '.json,application/json' })
  input.addEventListener('change', async () => {
    const file = input.files?.[0]
    input.value = ''
    if (!file) return
    try {
      if (file.size > MAX_FILE) throw new Error('the file is too large for a document of a study')
      const document = documentOf(new Uint8Array(await file.arrayBuffer()), found.rule)
      fill(place, ofDocument(found, document))
    } catch (error) {
      fill(place, h('p', { class: 'error', role: 'alert' }, (error as Error).message))
    }
  })
  return h(
    'section',
    { class: 'panel' },
    h(
      'p',
      {},
      "What the figures count stands in the study's document (study.json), which the chain names by its hash.",
    ),
    h('label', { for: 'document' }, "The study's document: "),
    input,
    place,
  )
}

function ofDocument(found: Study, document: Document): Child {
  if (document.kind !== 'counts')
    return h(
      'p',
      { 'data-kind': document.kind },
      `${document.name} is a study of kind ${document.kind}: it counts nothing.`,
    )
  const published = found.rounds.filter((one) => one.values !== null)
  const gaps = found.rounds.length - published.length
  const counts = {
    cells: document.columns,
    series: document.columns.map((_, cell) =>
      published.map((one) => Number(one.values?.[cell] ?? 0n) / document.units),
    ),
  }
  return [
    h('h3', {}, document.name),
    gaps > 0 &&
      h('p', { class: 'error', role: 'alert' }, `${gaps} rounds have no sum here: weeks are missing from the series.`),
    outbreaks(counts, found.deviation / document.units, "by the study's terms"),
  ]
}

/** A chart a cell, alarms named; the noise is said and drawn. */
function outbreaks(counts: Counts, deviation: number, whose: string): Child {
  const shownCells = counts.cells.slice(0, MOST_CELLS)
  const found = shownCells.map((cell, i) => ({
    cell,
    weeks: alarms(counts.series[i] ?? [], deviation),
    series: counts.series[i] ?? [],
  }))
  found.sort((a, b) => b.weeks.length - a.weeks.length)
  return [
    h(
      'p',
      {},
      `Each count is published with noise of a deviation of ${deviation.toFixed(2)} (${whose}): one week alone may be off by some ${(2 * deviation).toFixed(1)} either way. `,
      `An alarm is a count more than ${THRESHOLD} deviations above seven weeks before (EARS C2): a reason to look, not an outbreak. The first nine weeks have no baseline.`,
    ),
    counts.cells.length > MOST_CELLS &&
      h('p', { class: 'muted' }, `The first ${MOST_CELLS} of ${counts.cells.length} cells.`),
    table(
      'Alarms by cell, weeks from 0',
      [
        { name: 'cell', of: (one) => text(one.cell) },
        {
          name: 'weeks',
          of: (one) => ((one.weeks as number[]).length ? badge((one.weeks as number[]).join(', '), 'bad') : 'nothing'),
        },
      ],
      found.map((one) => ({ cell: one.cell, weeks: one.weeks })),
    ),
    found.slice(0, 12).map((one) => chart(one.cell, one.series, one.weeks, deviation)),
  ]
}

const [WIDTH, HEIGHT, FOOT] = [600, 120, 16]

function chart(cell: string, series: readonly number[], weeks: readonly number[], deviation: number): HTMLElement {
  const most = Math.max(1, ...series.map((one) => one + deviation))
  const step = WIDTH / Math.max(series.length, 10)
  const y = (count: number) => HEIGHT - FOOT - (Math.max(0, count) / most) * (HEIGHT - FOOT - 4)
  const marks = series.flatMap((count, week) => [
    svg('line', {
      class: 'noise',
      x1: (week + 0.5) * step,
      x2: (week + 0.5) * step,
      y1: y(count - deviation),
      y2: y(count + deviation),
    }),
    svg('circle', {
      class: weeks.includes(week) ? 'alarm' : 'count',
      cx: (week + 0.5) * step,
      cy: y(count),
      r: weeks.includes(week) ? 4 : 2,
    }),
  ])
  const score = scores(series, deviation)
  return h(
    'section',
    { class: 'panel' },
    h('h3', {}, cell),
    svg(
      'svg',
      {
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        class: 'chart',
        role: 'img',
        'aria-label': `${cell}: ${series.length} weeks, ${weeks.length} alarms`,
      },
      ...marks,
      svg(
        'text',
        { x: 1, y: HEIGHT - 3 },
        `weeks 0 to ${series.length - 1}; most ${most.toFixed(0)}; bars: one deviation of the noise`,
      ),
    ),
    h(
      'details',
      {},
      h('summary', {}, 'the figures'),
      table(
        `Counts of ${cell}`,
        [
          { name: 'week', number: true, of: (one) => text(one.week) },
          { name: 'count', number: true, of: (one) => Number(one.count).toFixed(2) },
          {
            name: 'deviations above its baseline',
            number: true,
            of: (one) => (one.score === null ? 'no baseline' : Number(one.score).toFixed(2)),
          },
        ],
        series.map((count, week) => ({ week, count, score: score[week] ?? null })),
      ),
    ),
  )
}
