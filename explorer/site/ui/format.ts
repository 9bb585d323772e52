// Figures and names as people read them.
import { h } from './dom.js'

/** Plancks (10^-12), as text because they may be above 2^53. */
export function unit(plancks: unknown): string {
  if (plancks === null || plancks === undefined || !/^\d+$/.test(String(plancks))) return 'none'
  const digits = String(plancks).padStart(13, '0')
  const whole = digits.slice(0, -12).replace(/\B(?=(\d{3})+$)/g, ',')
  const rest = digits.slice(-12).replace(/0+$/, '')
  return `${whole}${rest ? `.${rest}` : ''} UNIT`
}

export const count = (n: unknown): string => (typeof n === 'number' ? n.toLocaleString('en-GB') : 'none')

export function when(ms: unknown): string {
  return typeof ms === 'number' && ms > 0 && ms < 8.64e15
    ? `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
    : 'unknown'
}

export const short = (id: string): string => (id.length > 20 ? `${id.slice(0, 10)}…${id.slice(-6)}` : id)

const KINDS = new Set(['jobs', 'workers', 'models', 'blocks', 'sessions', 'setups', 'studies'])

/** A link to a page of an id; the id whole for who hovers, and for who listens. */
export function link(kind: string, id: unknown, label?: string): HTMLElement {
  const text = String(id)
  if (!KINDS.has(kind) || !/^(0x[0-9a-f]{64}|\d{1,10})$/.test(text)) return h('span', { class: 'mono' }, text)
  return h('a', { href: `#/${kind}/${text}`, class: 'mono', title: text }, label ?? short(text))
}
