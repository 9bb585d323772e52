// The job's page: its evidence read as the reader chose, and verified again in this tab.
import type { Chain } from '../chain/chain.js'
import { type Collected, collect, NotAccepted } from '../chain/collect.js'
import { artefact, type Row, row, rows, text } from '../index-api.js'
import { checkList, checkRow, verdictBanner } from '../ui/checks.js'
import { type Child, fill, h } from '../ui/dom.js'
import { link, unit, when } from '../ui/format.js'
import { type Answer, openAnswer, replySecret } from '../verify/answer.js'
import { hex, unhex } from '../verify/bytes.js'
import type { Check } from '../verify/check.js'
import { policy } from '../verify/policy.js'
import { verdictOf } from '../verify/verdict.js'
import { verifyBundle } from '../verify/verify.js'
import { Again, byMark, Figures } from './again.js'
import { facts, state, table } from './parts.js'
import type { Source } from './source.js'

export async function job(id: string, source: Source): Promise<Child> {
  const result = h('section', { 'aria-label': 'Verification', id: 'verification' })
  const verified = verify(id, source, result, null)
  const again = new Again(source)
  const [told, failed] = await again.ask(`jobs/${id}`).then(
    (found) => [found, null] as const,
    (error: Error) => [null, error.message] as const,
  )
  const happened = told ? timeline(told, again) : h('p', { class: 'muted' }, failed)
  void verified.then(() => told && again.begin()) // the verdict comes first
  return [h('h1', {}, 'Job ', h('span', { class: 'mono' }, id)), result, h('h2', {}, 'What happened to it'), happened]
}

const PAINT_MS = 50

/** Lets the page be painted, once it has had no chance to for so long. */
function painting(): () => Promise<void> {
  let last = performance.now()
  return async () => {
    if (performance.now() - last < PAINT_MS) return
    await new Promise((done) => setTimeout(done))
    last = performance.now()
  }
}

async function verify(
  id: string,
  source: Source,
  place: HTMLElement,
  given: ReadonlyMap<string, Uint8Array> | null,
): Promise<void> {
  const top = h('div', {}, h('p', { role: 'status' }, `reading the evidence: ${source.name}`))
  const rowsOf = checkList()
  fill(place, top)
  const started = performance.now()
  let chain: Chain | null = null
  try {
    chain = await source.open()
    performance.mark('chain open')
    const found = await collect(chain, unhex(id.replace(/^0x/, '')), (digest) =>
      given ? Promise.resolve(given) : artefact(digest),
    )
    performance.mark('evidence read')
    fill(
      place,
      top,
      evidence(found, source, chain),
      ownAnswer(found),
      h('h2', {}, 'Checks'),
      rowsOf,
      h('h2', {}, "What the chain's records say of each other"),
      recordRows(found, source, chain),
    )
    const development = found.bundle.result.level === 'simulated' || found.bundle.result.setup[0] === 0
    const asked = policy({
      development: development && admitted(),
      genesis: chain.genesis.slice(2),
      measurements: found.measurements,
      certified: found.certified,
      witness: chain.witness,
      proved: chain.proved ? chain.witness : null,
    })
    const painted = painting()
    const told = async (made: readonly Check[]) => {
      rowsOf.append(...made.map(checkRow))
      await painted()
    }
    const made = await verifyBundle(found.bundle, asked, told)
    const last = [...found.delivery, await chain.reading()]
    await told(last)
    const verdict = verdictOf(made.job, made.flags, [...made.checks, ...last])
    fill(
      top,
      verdictBanner(
        verdict,
        performance.now() - started,
        chain.proved
          ? 'by the chain of the spec, as its state was at the verdict'
          : 'by the node that you chose, at the verdict',
      ),
      development && admit(() => void verify(id, source, place, given)),
    )
    performance.mark('verdict')
  } catch (error) {
    const nothing = error instanceof NotAccepted
    fill(
      place,
      h(
        'div',
        { class: `verdict ${nothing ? 'open' : 'bad'}`, role: 'alert', 'data-error': '' },
        h('p', { class: 'verdict-word' }, nothing ? 'nothing to verify' : 'not verified'),
        h('p', {}, (error as Error).message),
      ),
      !nothing && drop((files) => void verify(id, source, place, files)),
    )
  } finally {
    chain?.release()
  }
}

const ADMIT = 'proofward.development'

const admitted = (): boolean => sessionStorage.getItem(ADMIT) === 'yes'

/** A reader admits what is simulated himself; the page does not do it for him. */
function admit(again: () => void): HTMLElement {
  const box = h('input', { type: 'checkbox', id: 'development', checked: admitted() })
  box.addEventListener('change', () => {
    sessionStorage.setItem(ADMIT, box.checked ? 'yes' : 'no')
    again()
  })
  return h(
    'p',
    {},
    h('label', { for: 'development' }, box, ' Development: admit what is simulated, and keys that one party made'),
  )
}

function evidence({ bundle }: Collected, source: Source, chain: Chain): HTMLElement {
  const mono = (value: Uint8Array) => h('span', { class: 'mono' }, `0x${hex(value)}`)
  const other = source.genesis !== chain.genesis
  return h(
    'section',
    { 'aria-label': 'Evidence' },
    other &&
      h(
        'p',
        { class: 'verdict bad', role: 'alert' },
        `What answered, ${chain.name}, is of another chain than the explorer's index: genesis ${chain.genesis}, the index has ${source.genesis}.`,
      ),
    h(
      'p',
      { class: 'muted' },
      chain.proved
        ? `Every figure of this section was read by this browser, ${chain.witness}: ${chain.believed}.`
        : `Every figure of this section was read from ${chain.name} by this browser. It is the node's word: no light client proved it (see below which checks need no word).`,
    ),
    facts([
      ['model', link('models', `0x${hex(bundle.job.model)}`)],
      ['worker', link('workers', `0x${hex(bundle.result.worker)}`)],
      ['client', mono(bundle.job.client)],
      ['input commitment', mono(bundle.job.inputCommitment)],
      ['output commitment', mono(bundle.result.outputCommitment)],
      ['proof', `${bundle.result.proof.length} bytes`],
      ['sealed output', `${bundle.result.sealedOutput.length} bytes`],
      ['verdict in', link('blocks', bundle.result.block, String(bundle.result.block))],
    ]),
  )
}

function recordRows(found: Collected, source: Source, chain: Chain): HTMLElement {
  const list = h('ol', {
    class: 'checks',
    'aria-label': 'Records of the chain',
    'data-node': chain.genesis === source.genesis ? 'same' : 'other',
  })
  list.append(...found.checks.map(checkRow))
  return list
}

/** For the client itself: its answer, opened in this tab by the file of its secrets, which is read and sent nowhere. */
function ownAnswer({ bundle }: Collected): HTMLElement {
  const shown = h('div', { id: 'answer' })
  const input = h('input', { type: 'file', id: 'secrets', accept: '.json,application/json' })
  input.addEventListener('change', async () => {
    const file = input.files?.[0]
    try {
      if (!file || file.size > 1 << 16) throw new Error("the file is none of a job's secrets")
      fill(shown, answerTable(openAnswer(bundle, replySecret(await file.text(), bundle.job.id))))
    } catch (error) {
      fill(shown, h('p', { class: 'error', role: 'alert' }, (error as Error).message))
    }
  })
  return h(
    'details',
    { class: 'no-print' },
    h('summary', {}, 'Open your own answer'),
    h(
      'p',
      {},
      "The file of the job's secrets, as ",
      h('code', {}, 'proofward job submit'),
      ' kept it. It is read in this page and leaves it nowhere; the answer is shown only when it opens the proven commitment.',
    ),
    h('label', { for: 'secrets' }, 'Secrets of this job: ', input),
    shown,
  )
}

const answerTable = ({ names, records }: Answer): HTMLElement =>
  table(
    'Your answer, which opens the proven commitment',
    [
      { name: 'record', number: true, of: (one) => text(one.number) },
      { name: 'decision', of: (one) => text(one.decision) },
      ...names.map((name, i) => ({ name, number: true, of: (one: Row) => text((one.values as number[])[i]) })),
    ],
    records.map((one, i) => ({ number: i + 1, decision: one.decision, values: one.values })),
  )

/** The artefact's files from the reader's own disk, where the explorer has them not. */
function drop(again: (files: ReadonlyMap<string, Uint8Array>) => void): HTMLElement {
  const input = h('input', { type: 'file', id: 'artefact', multiple: true })
  input.addEventListener('change', async () => {
    const files = new Map<string, Uint8Array>()
    for (const file of input.files ?? []) {
      if (file.size <= 64 << 20) files.set(`public/${file.name}`, new Uint8Array(await file.arrayBuffer()))
    }
    again(files)
  })
  return h(
    'p',
    { class: 'panel' },
    h('label', { for: 'artefact' }, "The public files of the model's artefact (manifest.json, vk.bin): "),
    input,
  )
}

const WORDS: Record<string, string> = {
  Submitted: 'submitted',
  Claimed: 'claimed',
  Released: 'handed back',
  Lapsed: 'lapsed: the claim ran out',
  Accepted: 'proved, accepted and paid',
  Rejected: 'rejected: the proof is false',
  NoVerdict: 'no verdict could be had',
  FaultyProof: 'no verdict: the fault is the proof’s',
  Declined: 'declined',
  Refunded: 'refunded',
  Undelivered: 'the worker lost stake: its output does not open',
  Contested: 'contested by its client, who was right',
  Forgotten: 'its record left state',
}
const BAD = new Set(['Lapsed', 'Rejected', 'FaultyProof', 'Refunded', 'Undelivered'])

function timeline(told: Row, again: Again): Child {
  const record = row(told.job)
  const figures = again.add(new Figures(record), again.record('job', record))
  return [
    again.banner,
    facts([
      ['status', figures.of((it) => state(it.status))],
      ['price', figures.of((it) => unit(it.price))],
      ['deadline', figures.of((it) => `block ${text(it.deadline)}`)],
      ['attempts', figures.of((it) => text(it.attempts))],
    ]),
    h(
      'ol',
      { class: 'timeline' },
      rows(told.events).map((one) => {
        const mark = h('span', {}, byMark('index'))
        const step = again.add(new Figures(one, false), again.event(one), mark)
        return h(
          'li',
          { class: BAD.has(text(one.name)) ? 'bad' : '', 'data-event': text(one.name) },
          step.of(stepOf, 'div'),
          mark,
        )
      }),
    ),
  ]
}

function stepOf(one: Row): Child {
  const fields = row(one.fields)
  const who = fields.worker
    ? link('workers', fields.worker)
    : fields.client
      ? h('span', { class: 'mono' }, text(fields.client))
      : ''
  const sum = sumOf(fields)
  return [
    h('p', {}, h('strong', {}, WORDS[text(one.name)] ?? text(one.name)), ' ', who),
    h(
      'p',
      { class: 'muted' },
      'block ',
      link('blocks', one.block, text(one.block)),
      `, ${when(one.time)}${sum && `: ${sum}`}`,
    ),
  ]
}

function sumOf(fields: Row): string {
  if (fields.paid !== undefined) return `${unit(fields.paid)} to the worker, ${unit(fields.royalty)} to the publisher`
  if (fields.bond_cut !== undefined) return `${unit(fields.bond_cut)} of the bond cut`
  if (fields.amount !== undefined) return `${unit(fields.amount)} back to the client`
  if (fields.slashed !== undefined) return `${unit(fields.slashed)} of the stake slashed`
  return fields.lapses_at === undefined ? '' : `until block ${text(fields.lapses_at)}`
}
