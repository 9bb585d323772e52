// A session's page in one file: the checks of `proofward verify PAGE`, as proofward/evidence/page.py has them.
import { BLOCK, type Bundle, Part, whereOf } from './bundle.js'
import { concat, equal, hex, hex0x, little, utf8 } from './bytes.js'
import { type Check, check, said } from './check.js'
import { contractChecks } from './contract.js'
import { blake2, sha256 } from './hashes.js'
import { modelChecks, proofCheck } from './model.js'
import type { Policy } from './policy.js'
import { LEVELS, verifySignature } from './protocol.js'
import type { Level } from './roots.js'
import { setupChecks } from './setup.js'
import { type Verdict, verdictOf } from './verdict.js'
import { chainChecks, flagsOf } from './verify.js'
import { workerChecks } from './worker.js'

export const PAGE_FORMAT = 'proofward/page-bundle/v1'
const MAX_PATH = 16
const MAX_PAGES = 1 << MAX_PATH
const MAX_SAMPLED = 128
const PARTS = 1_000_000

export interface SessionPage {
  readonly chain: Bundle['chain']
  readonly session: {
    readonly id: Uint8Array
    readonly client: Uint8Array
    readonly nonce: Uint8Array
    readonly worker: Uint8Array
    readonly model: Uint8Array
    readonly voucherKey: Uint8Array
    readonly receiptKey: Uint8Array
    readonly epoch: number
    readonly level: Level
    readonly minLevel: Level
    /** Millionths of the pages. */
    readonly sample: number
  }
  readonly page: {
    readonly number: number
    readonly inputCommitment: Uint8Array
    readonly outputCommitment: Uint8Array
    readonly path: readonly Uint8Array[]
    /** The enclave's, over the page alone; null where nobody kept it. */
    readonly signature: Uint8Array | null
    readonly proof: Uint8Array | null
  }
  readonly window: {
    readonly number: number
    readonly first: number
    readonly pages: number
    /** Of the whole session. */
    readonly records: number
    readonly root: Uint8Array
    readonly signature: Uint8Array
    readonly voucher: Uint8Array
    readonly block: number
  }
  readonly beacon: { readonly value: Uint8Array; readonly choices: number } | null
  readonly forced: boolean
  /** The last block that was read. */
  readonly at: number
  readonly model: Bundle['model']
  readonly worker: Bundle['worker']
  readonly setup: Uint8Array
  readonly setupEvidence: Bundle['setupEvidence']
}

/** Read a page's bundle. Throws BundleError. */
export function readPage(source: string): SessionPage {
  const top = Part.parse(source, PAGE_FORMAT)
  return top.done({
    ...whereOf(top),
    session: sessionOf(top.part('session')),
    page: pageOf(top.part('page')),
    window: windowOf(top.part('window')),
    beacon: top.has('beacon') ? beaconOf(top.part('beacon')) : null,
    forced: top.flag('forced', false),
    at: top.number('at', BLOCK),
    setup: top.bytes('setup', 0, 2),
  })
}

const sessionOf = (part: Part): SessionPage['session'] =>
  part.done({
    id: part.hash('id'),
    client: part.hash('client'),
    nonce: part.hash('nonce'),
    worker: part.hash('worker'),
    model: part.hash('model'),
    voucherKey: part.hash('voucher_key'),
    receiptKey: part.hash('receipt_key'),
    epoch: part.number('epoch', BLOCK),
    level: part.oneOf('level', LEVELS),
    minLevel: part.oneOf('min_level', LEVELS),
    sample: part.number('sample', PARTS + 1, 1),
  })

const pageOf = (part: Part): SessionPage['page'] =>
  part.done({
    number: part.number('number', BLOCK),
    inputCommitment: part.hash('input_commitment'),
    outputCommitment: part.hash('output_commitment'),
    path: part.hashes('path', MAX_PATH),
    signature: part.has('signature') ? part.bytes('signature', 64, 64) : null,
    proof: part.has('proof') ? part.bytes('proof', 0, 16_384) : null,
  })

const windowOf = (part: Part): SessionPage['window'] =>
  part.done({
    number: part.number('number', BLOCK),
    first: part.number('first', BLOCK),
    pages: part.number('pages', MAX_PAGES + 1, 1),
    records: part.number('records', Number.MAX_SAFE_INTEGER, 1),
    root: part.hash('root'),
    signature: part.bytes('signature', 64, 64),
    voucher: part.bytes('voucher', 64, 64),
    block: part.number('block', BLOCK),
  })

const beaconOf = (part: Part): NonNullable<SessionPage['beacon']> =>
  part.done({ value: part.hash('value'), choices: part.number('choices', BLOCK, 1) })

type Worth = 'committed' | 'sampled' | 'proved'
const WORTHS: Record<Worth, string> = {
  committed: "the enclave's word for this model, under its signature; nobody has proved it",
  sampled: 'the beacon picked it; the proof is owed and not here',
  proved: 'whoever signed what: the model leads from this input to this output',
}

const worthOf = (one: SessionPage): Worth =>
  one.page.proof !== null ? 'proved' : picked(one) ? 'sampled' : 'committed'

/** Check everything that a page's bundle claims. Never throws for bad evidence: a check fails. */
export function verifyPage(one: SessionPage, policy: Policy): Verdict {
  const { chain, session, page, model, worker } = one
  const [artefact, ofModel] = modelChecks(model, session.model)
  const checks = [
    ...chainChecks(chain, policy),
    ...ofModel,
    ...workerChecks(session.worker, worker, chain.genesis, policy),
    ...sessionChecks(one, policy),
    ...treeChecks(one, policy),
    ...beaconChecks(one, policy),
    ...contractChecks(model, policy),
    ...setupChecks(
      { encoded: one.setup, evidence: one.setupEvidence, model, genesis: chain.genesis },
      artefact,
      policy,
      policy.certified.get(hex(session.model)) ?? null,
    ),
    chainHolds(policy),
  ]
  if (page.proof !== null) checks.push(proofCheck(artefact, page.inputCommitment, page.outputCommitment, page.proof))
  const worth = worthOf(one)
  checks.push({ ...check('worth', true, `${worth}: ${WORTHS[worth]}`), required: false })
  return verdictOf(hex(session.id), [worth, ...flagsOf(model.lane, worker.level, one.setup)], checks)
}

function sessionChecks({ session, worker }: SessionPage, policy: Policy): Check[] {
  const id = blake2(concat(utf8('proofward/session/v1'), session.client, session.nonce))
  const keys = equal(session.receiptKey, worker.receiptKey) && session.epoch === worker.epoch
  const [found, least] = [LEVELS.indexOf(session.level), LEVELS.indexOf(session.minLevel)]
  const enough = found >= least && (session.level === 'hardware' || policy.development)
  const same = session.level === worker.level
  const told = same
    ? `${session.level}, at least ${session.minLevel} was asked for`
    : `${session.level}, where the worker is ${worker.level}`
  const good = enough && same
  return [
    check('session', equal(id, session.id), `${hex0x(session.id)} of client ${hex0x(session.client)}`, {
      'client and nonce give': hex(id),
    }),
    said("session's model", `${hex0x(session.model)}: ${policy.witness}`),
    check('session key', keys, keys ? 'the one that the quote binds' : "not the quote's", {
      session: `${hex(session.receiptKey)}, epoch ${session.epoch}`,
      quote: `${hex(worker.receiptKey)}, epoch ${worker.epoch}`,
    }),
    check('level', good, good ? told : `${told}; refused without --dev`),
  ]
}

/** Page, path, checkpoint and voucher. Whose key the voucher's is, only the chain knows. */
function treeChecks({ chain, session, page, window }: SessionPage, policy: Policy): Check[] {
  if (window.first + window.pages >= BLOCK)
    return [check('page', false, "the window's pages are more than a session can number")]
  const number = little(page.number, 4)
  const leaf = sha256(
    concat(
      Uint8Array.of(0),
      utf8('proofward/page/v1'),
      session.id,
      number,
      page.inputCommitment,
      page.outputCommitment,
    ),
  )
  const place = page.number - window.first
  const deep = place >= 0 && place < window.pages && page.path.length === depth(window.pages)
  const root = deep ? rootOf(leaf, place, page.path) : null
  const statement = concat(
    chain.genesis,
    session.id,
    little(window.number, 4),
    window.root,
    little(window.first + window.pages, 4),
    little(window.records, 8),
  )
  const signed = (name: string, domain: string, key: Uint8Array, content: Uint8Array, signature: Uint8Array): Check => {
    const message = concat(utf8(domain), content)
    const good = verifySignature(key, message, signature)
    const inputs = { message: hex(message), key: hex(key), signature: hex(signature) }
    const told = good ? `signed by ${hex0x(key)}` : 'the signature is not by this receipt key over this record'
    return check(name, good, told, inputs)
  }
  const voucher = signed('voucher', 'proofward/voucher/v1', session.voucherKey, statement, window.voucher)
  const checks = [
    check(
      'page',
      root !== null && equal(root, window.root),
      `${page.number}, leaf ${place} of ${window.pages} below ${hex0x(window.root)}`,
      { leaf: hex(leaf), 'root of leaf and path': root ? hex(root) : 'none: the path is of another place' },
    ),
    signed('checkpoint', 'proofward/checkpoint/v1', session.receiptKey, statement, window.signature),
    voucher.ok ? said('voucher', `${voucher.detail}; that this is the client's key: ${policy.witness}`) : voucher,
  ]
  if (page.signature === null)
    return [...checks, said('page receipt', 'nobody kept it; the checkpoint covers the page')]
  const receipt = concat(chain.genesis, session.id, number, leaf)
  return [...checks, signed('page receipt', 'proofward/page-receipt/v1', session.receiptKey, receipt, page.signature)]
}

/** Levels of a tree above its leaves. */
const depth = (pages: number): number => (pages > 1 ? 32 - Math.clz32(pages - 1) : 0)

function rootOf(leaf: Uint8Array, place: number, path: readonly Uint8Array[]): Uint8Array {
  return path.reduce((node, sibling, height) => {
    const [left, right] = (place >> height) & 1 ? [sibling, node] : [node, sibling]
    return sha256(concat(Uint8Array.of(1), left, right))
  }, leaf)
}

function beaconChecks(one: SessionPage, policy: Policy): Check[] {
  const { beacon, forced, at } = one
  const asked = forced ? [said('forced', `the client asked for this page: ${policy.witness}`)] : []
  if (!beacon) return [...asked, said('beacon', `not drawn by block ${at}`)]
  const picks = picked(one) ? 'picks this page' : 'picks other pages'
  return [...asked, said('beacon', `${hex0x(beacon.value)}, one of ${beacon.choices}: ${policy.witness}; it ${picks}`)]
}

/** Whether the beacon's value picks the page (Bentley and Floyd, as docs/sessions.md has it). */
function picked({ session, page, window, beacon }: SessionPage): boolean {
  if (!beacon) return false
  const count = Math.min(Math.max(Math.ceil((window.pages * session.sample) / PARTS), 1), window.pages, MAX_SAMPLED)
  const seed = blake2(concat(utf8('proofward/sample/v1'), beacon.value, session.id, little(window.number, 4)))
  const chosen = new Set<number>()
  for (let last = window.pages - count; last < window.pages; last++) {
    const word = blake2(concat(seed, little(last, 4)))
      .subarray(0, 8)
      .reduceRight((sum, byte) => (sum << 8n) + BigInt(byte), 0n)
    const place = Number(word % BigInt(last + 1))
    chosen.add(chosen.has(place) ? last : place)
  }
  return chosen.has(page.number - window.first)
}

function chainHolds(policy: Policy): Check {
  const told = "a page's bundle proves nothing of the chain's state; `proofward session audit` reads the chain"
  return policy.authorities ? check('inclusion', null, told) : said('inclusion', told)
}
