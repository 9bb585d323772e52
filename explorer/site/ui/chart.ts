// Bars a day, drawn as SVG: a picture for the eye, with the figures in a table for everybody.
import { h, svg } from './dom.js'

export interface Bar {
  readonly label: string
  readonly values: readonly number[]
}

const [WIDTH, HEIGHT, FOOT, TOP] = [600, 150, 20, 14]

/** Stacked bars. `names` say what the parts of a bar are. */
export function bars(title: string, names: readonly string[], data: readonly Bar[]): HTMLElement {
  const most = Math.max(1, ...data.map((one) => one.values.reduce((a, b) => a + b, 0)))
  const step = WIDTH / Math.max(data.length, 10)
  const scale = (HEIGHT - FOOT - TOP) / most
  const drawn = data.flatMap((one, i) => {
    let y = HEIGHT - FOOT
    return one.values.map((value, part) => {
      y -= value * scale
      return svg('rect', {
        class: part ? 'bar2' : 'bar',
        x: i * step + 1,
        y,
        width: Math.max(1, step - 2),
        height: value * scale,
      })
    })
  })
  const labels = data
    .filter((_, i) => data.length <= 6 || i % Math.ceil(data.length / 6) === 0)
    .map((one) => svg('text', { x: data.indexOf(one) * step + 1, y: HEIGHT - 5 }, one.label))
  const picture = svg(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'chart', role: 'img', 'aria-label': title },
    ...drawn,
    ...labels,
    svg('text', { x: 1, y: 10 }, `most: ${most}`),
  )
  const table = h(
    'details',
    {},
    h('summary', {}, 'the figures'),
    h(
      'table',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'col' }, 'day'),
        names.map((name) => h('th', { scope: 'col', class: 'number' }, name)),
      ),
      data.map((one) =>
        h(
          'tr',
          {},
          h('td', {}, one.label),
          one.values.map((value) => h('td', { class: 'number' }, value)),
        ),
      ),
    ),
  )
  return h('section', { class: 'panel' }, h('h2', {}, title), picture, table)
}
