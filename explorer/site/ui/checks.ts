// A verdict as people read it: one line a check, with inputs, result and time.
import { type Check, word } from '../verify/check.js'
import type { Verdict } from '../verify/verdict.js'
import { h } from './dom.js'

const CLASSES: Record<string, string> = { ok: 'good', REFUSED: 'bad', 'not checked': 'open', said: 'said' }

export const badge = (text: string, kind: string): HTMLElement => h('span', { class: `badge ${kind}` }, text)

export function checkRow(check: Check): HTMLElement {
  const told = word(check)
  const inputs = check.inputs.map((one) => [h('dt', {}, one.name), h('dd', { class: 'mono' }, one.value)])
  return h(
    'li',
    { class: 'check', 'data-check': check.name, 'data-word': told },
    h(
      'div',
      { class: 'check-head' },
      badge(told, CLASSES[told] ?? 'open'),
      h('span', { class: 'check-name' }, check.name),
      h('span', { class: 'ms' }, `${check.ms.toFixed(1)} ms`),
    ),
    h('p', { class: 'detail mono' }, check.detail),
    inputs.length > 0 && h('details', {}, h('summary', {}, 'what was compared'), h('dl', {}, inputs)),
  )
}

export const checkList = (): HTMLOListElement => h('ol', { class: 'checks', 'aria-label': 'Checks' })

const OUTCOMES: Record<Verdict['outcome'], string> = {
  accepted: 'good',
  'consistent, not anchored': 'open',
  incomplete: 'open',
  refused: 'bad',
}

const MEANINGS: Record<Verdict['outcome'], string> = {
  accepted: 'Every check was made and holds, and chain and software are those that are pinned',
  'consistent, not anchored':
    'All else holds, but you have pinned no chain or no software: anybody can make a chain of his own.',
  incomplete: 'Something that is needed was not checked; the lines say what.',
  refused: 'A check failed; the lines say which.',
}

/** `pinned` says by whom chain and software are. */
export function verdictBanner(verdict: Verdict, ms: number, pinned: string): HTMLElement {
  const counted = (told: string) => verdict.checks.filter((one) => word(one) === told).length
  return h(
    'div',
    { class: `verdict ${OUTCOMES[verdict.outcome]}`, role: 'status', 'data-verdict': verdict.word },
    h('p', { class: 'verdict-word' }, verdict.word),
    h('p', {}, verdict.outcome === 'accepted' ? `${MEANINGS.accepted} ${pinned}.` : MEANINGS[verdict.outcome]),
    h(
      'p',
      { class: 'muted' },
      `${counted('ok')} ok, ${counted('REFUSED')} refused, ${counted('not checked')} not checked, ${counted('said')} said, in ${ms.toFixed(0)} ms`,
    ),
  )
}
