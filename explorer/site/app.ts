// The explorer: a page a place in the address, its figures from the index, its evidence from a node.
import { ask, row, text } from './index-api.js'
import { attestation, block, jobs, market, model, models, search, workers } from './pages/lists.js'
import { members } from './pages/members.js'
import { overview } from './pages/overview.js'
import { session, sessions } from './pages/sessions.js'
import { Source } from './pages/source.js'
import { studies, study } from './pages/studies.js'
import { worker } from './pages/worker.js'
import { type Child, fill, h } from './ui/dom.js'

// What verifies is half of the script: it is on its way while the chain is asked.
const jobPage = () => import('./pages/job.js')
const setupPages = () => import('./pages/setups.js')

type Page = (id: string, asked: URLSearchParams, source: Source) => Promise<Child>

const LISTS: [string, string, Page][] = [
  ['', 'Overview', overview],
  ['jobs', 'Jobs', jobs],
  ['sessions', 'Sessions', sessions],
  ['workers', 'Workers', workers],
  ['models', 'Models', models],
  ['setups', 'Setups', async (_id, _asked, source) => (await setupPages()).setups(source)],
  ['attestation', 'Measurements', attestation],
  ['market', 'Market', market],
  ['studies', 'Studies and outbreaks', studies],
  ['members', 'Members and finality', members],
]
const RECORDS: Record<string, Page> = {
  jobs: async (id, _, source) => {
    source.begin()
    return (await jobPage()).job(id, source)
  },
  sessions: session,
  workers: worker,
  models: model,
  setups: async (id, asked, source) => (await setupPages()).setup(id, asked, source),
  studies: study,
  blocks: block,
}

const main = document.getElementById('main') as HTMLElement
let source: Source
let shown = 0

/** The page that the address names; anything else is told. */
async function show(): Promise<void> {
  const mine = ++shown
  const [path, query] = (location.hash.replace(/^#\/?/, '') || '').split('?') as [string, string | undefined]
  const [kind = '', id = ''] = path.split('/')
  const page = id
    ? Object.hasOwn(RECORDS, kind)
      ? RECORDS[kind]
      : undefined
    : kind === 'search'
      ? search
      : LISTS.find(([name]) => name === kind)?.[2]
  navigation(kind)
  fill(main, h('p', { role: 'status' }, 'reading'))
  let content: Child
  try {
    if (!page || (id && !/^(0x)?[0-9a-zA-Z]{1,66}$/.test(id))) throw new Error('There is no such page.')
    content = await page(id, new URLSearchParams(query ?? ''), source)
  } catch (error) {
    content = [h('h1', {}, 'Not found'), h('p', { class: 'error', role: 'alert' }, (error as Error).message)]
  }
  if (mine !== shown) return
  fill(main, content)
  document.title = `${main.querySelector('h1')?.textContent ?? 'Proofward'} · Proofward explorer`
}

function navigation(current: string): void {
  const list = document.getElementById('nav') as HTMLElement
  const items = LISTS.map(([name, label]) =>
    h('li', {}, h('a', { href: `#/${name}`, 'aria-current': name === current ? 'page' : null }, label)),
  )
  fill(list, items, h('li', {}, h('a', { href: './verify.html' }, 'Verify a file')))
}

function searchForm(): HTMLElement {
  const input = h('input', {
    name: 'q',
    'aria-label': 'Search by id, hash, account, block or model name',
    placeholder: 'id, hash, account, block, model',
    spellcheck: 'false',
    autocomplete: 'off',
  })
  const form = h('form', { class: 'search', role: 'search' }, input, h('button', { type: 'submit' }, 'Search'))
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    location.hash = `#/search?${new URLSearchParams({ q: input.value })}`
  })
  return form
}

async function begin(): Promise<void> {
  if (location.hash.startsWith('#/jobs/')) jobPage().catch(() => {}) // the page that asks for it tells of a fault
  const config = row(await ask('config'))
  source = new Source(config, new URLSearchParams(location.search))
  document.querySelector('header')?.append(searchForm())
  fill(
    document.getElementById('foot') as HTMLElement,
    source.form(() => void show()),
    h(
      'p',
      {},
      `Index of the chain ${text(config.name)} (${text(config.type)}), genesis `,
      h('span', { class: 'mono' }, source.genesis),
    ),
    h(
      'p',
      {},
      'Read-only. Nothing here is evidence by being shown: a job’s page verifies it in this browser, and ',
      h('code', {}, 'proofward verify'),
      ' on your own machine.',
    ),
  )
  // Places in the address are pages here: the link that skips the navigation moves the focus, and nothing else.
  document.querySelector('.skip')?.addEventListener('click', (event) => {
    event.preventDefault()
    main.focus()
  })
  window.addEventListener('hashchange', () => void show().then(() => main.focus()))
  await show()
}

begin().catch((error: Error) => fill(main, h('p', { class: 'error', role: 'alert' }, error.message)))
