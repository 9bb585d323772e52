// Who made each model's keys, as the chain's records say, and how a reader checks it.
import { ask, row, rows, text } from '../index-api.js'
import { type Child, h } from '../ui/dom.js'
import { link } from '../ui/format.js'
import { byIndex, state, table } from './parts.js'

const MEANINGS: [string, string][] = [
  ['dev', 'one party made the keys and could forge proofs'],
  ['attested', "an enclave made them; its quote is in the chain's history, and a job's page verifies it"],
  [
    'ceremony',
    'many contributed, and the chain certified the transcript by this hash: `proofward setup verify TRANSCRIPT` recomputes it',
  ],
]

export async function setups(): Promise<Child> {
  const found = rows(await ask('models'))
  return [
    h('h1', {}, 'Setups'),
    byIndex('Records'),
    h(
      'dl',
      {},
      MEANINGS.map(([name, what]) => [h('dt', {}, name), h('dd', {}, what)]),
    ),
    table(
      'Setups of the models',
      [
        { name: 'model', of: (one) => link('models', one.id, text(one.name) || undefined) },
        { name: 'setup', of: (one) => state(one.setup) },
        { name: 'circuit', of: (one) => h('span', { class: 'mono' }, text(one.circuit_digest)) },
        {
          name: "quote's or transcript's hash",
          of: (one) => h('span', { class: 'mono' }, text(one.evidence_hash) || 'none'),
        },
        {
          name: 'software that made the keys',
          of: (one) => h('span', { class: 'mono' }, text(row(one.grounds).measurement) || 'none'),
        },
      ],
      found,
    ),
  ]
}
