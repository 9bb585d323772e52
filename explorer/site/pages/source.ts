// How this browser reads the chain, as the reader chose: a light client in the tab, or a node by its word.
import type { Chain } from '../chain/chain.js'
import type { Light } from '../chain/light.js'
import { Node } from '../chain/node.js'
import { type Row, row, rows, text } from '../index-api.js'
import { type Child, fill, h } from '../ui/dom.js'

const MAX_SPEC = 64 << 20

/** Where what answered is of another chain than the index; false where it is not. */
export const otherChain = (answered: string, indexed: string): Child =>
  answered !== indexed &&
  h(
    'p',
    { class: 'error', role: 'alert', 'data-chain': 'other' },
    `This is another chain than the index's: genesis ${answered}, the index has ${indexed}.`,
  )

export class Source {
  /** Of the chain in the index, 0x and hexadecimal. */
  readonly genesis: string
  readonly node: string
  readonly how: 'light' | 'node'
  private readonly boot: readonly string[]
  private readonly served: boolean
  private chosen: File | null = null
  private light: Promise<Light> | null = null
  private begun: Promise<Chain> | null = null

  /** `config` is the explorer's; `asked` what the address says: `read`, `node`, `boot`. */
  constructor(
    config: Row,
    private readonly asked: URLSearchParams,
  ) {
    this.genesis = text(config.genesis)
    this.node = asked.get('node') ?? text(config.node)
    const light = row(config.light)
    this.served = config.light !== null && config.light !== undefined
    const given = (asked.get('boot') ?? '').split(',').filter(Boolean)
    this.boot = given.length ? given : rows(light.boot).map(String)
    const wanted = asked.get('read') ?? (this.served && !asked.has('node') ? 'light' : 'node')
    this.how = wanted === 'light' ? 'light' : 'node'
  }

  /** Who is asked, as a reader is told. */
  get name(): string {
    return this.how === 'light' ? 'a light client in this tab' : `the node at ${this.node}`
  }

  /** Open the chain for a page whose script is still on its way. */
  begin(): void {
    this.begun?.then((unused) => unused.release()).catch(() => {})
    this.begun = this.connect()
    this.begun.catch(() => {})
  }

  /** The chain, at its newest finalised head. `release` it. Throws NodeError. */
  open(): Promise<Chain> {
    const { begun } = this
    this.begun = null
    return begun ?? this.connect()
  }

  private async connect(): Promise<Chain> {
    if (this.how === 'node') return Node.connect(this.node)
    const running = await this.light?.catch(() => null)
    if (running?.alive) {
      await running.refresh()
      return running
    }
    this.light = this.start()
    return this.light
  }

  private async start(): Promise<Light> {
    const { boot } = this
    const { Light, readSpec, SERVED } = await import('../chain/light.js')
    const [bytes, origin] = this.chosen
      ? [new Uint8Array(await this.chosen.arrayBuffer()), `the file ${this.chosen.name} that you chose`]
      : [await this.servedSpec(), SERVED]
    const asked = this.asked.get('boot')
    const file = `./light.js${asked ? `?${new URLSearchParams({ boot: asked })}` : ''}`
    return Light.start(readSpec(bytes, origin, boot), file)
  }

  private async servedSpec(): Promise<Uint8Array> {
    if (!this.served)
      throw new Error('a light client begins at the spec of the chain: choose its file at the foot of this page')
    const answer = await fetch('./api/spec')
    if (!answer.ok) throw new Error(`the explorer does not give the spec of the chain (${answer.status})`)
    return new Uint8Array(await answer.arrayBuffer())
  }

  /** Where the reader chooses. Another node or way takes a page with another policy; a spec does not. */
  form(again: () => void): HTMLElement {
    const node = h('input', { id: 'node', name: 'node', value: this.node, spellcheck: 'false', autocomplete: 'off' })
    const boot = h('input', {
      id: 'boot',
      name: 'boot',
      value: this.boot.join(','),
      spellcheck: 'false',
      autocomplete: 'off',
    })
    const way = (value: Source['how'], label: string) =>
      h(
        'label',
        { for: `read-${value}` },
        h('input', { type: 'radio', name: 'read', id: `read-${value}`, value, checked: this.how === value }),
        ` ${label}`,
      )
    const told = h('p', { class: 'muted', role: 'status' })
    const spec = h('input', { type: 'file', id: 'spec', accept: '.json,application/json' })
    spec.addEventListener('change', () => {
      const file = spec.files?.[0]
      if (!file) return
      spec.value = '' // the same file, changed, can be chosen again
      const large = file.size > MAX_SPEC
      told.className = large ? 'error' : 'muted'
      if (large) return fill(told, `${file.name} has ${file.size} bytes: no chain's spec is so large`)
      fill(told, `Chosen: ${file.name}`)
      this.choose(file)
      again()
    })
    const form = h(
      'form',
      { class: 'filters', 'aria-label': 'How the chain is read' },
      h(
        'fieldset',
        {},
        h('legend', {}, 'Evidence is read by'),
        way('light', 'a light client in this tab: peers prove each answer'),
        way('node', 'a node, by its word'),
      ),
      h('div', {}, h('label', { for: 'node' }, 'The node'), node),
      h('div', {}, h('label', { for: 'boot' }, "The light client's first peers"), boot),
      h('button', { type: 'submit' }, 'Read so'),
      h(
        'div',
        {},
        h(
          'label',
          { for: 'spec' },
          `The chain's spec, from somebody you trust${this.served ? ' more than this explorer' : ''}`,
        ),
        spec,
      ),
      told,
    )
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      const how = form.querySelector<HTMLInputElement>('input[name="read"]:checked')?.value ?? this.how
      const asked = new URLSearchParams({ read: how, node: node.value.trim() })
      if (boot.value.trim() !== this.boot.join(',')) asked.set('boot', boot.value.trim())
      location.search = `?${asked}`
    })
    return form
  }

  private choose(file: File): void {
    this.chosen = file
    this.begun = null
    void this.light?.then((one) => one.close()).catch(() => {})
    this.light = null
  }
}
