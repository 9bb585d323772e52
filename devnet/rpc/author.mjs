// author_* and transaction*: extrinsics come in, and how far they are.

import { randomBytes } from 'node:crypto'
import { hexToU8a } from '@polkadot/util'
import { compact, Reader, ScaleError } from '../scale.mjs'
import { hex, INVALID_PARAMS, method, name, RpcError, unsubscribe } from './method.mjs'

// Between the two words about one block, included and final, a connection has been quiet for so many milliseconds, or
// the most have passed. Nothing happens to the block in between, but polkadot.js drops what it hears while it still looks
// up the block that it heard of before.
const QUIET = 500
const MOST_QUIET = 10_000
// What a node answers to bytes that are no extrinsic depends on how it was asked.
const CLIENT_ERROR = 1040
const BAD_FORMAT = 1001
const UNDECODABLE = 'Could not decode `OpaqueExtrinsic.0`'

const badFormat = (why) => new RpcError(BAD_FORMAT, `Extrinsic has invalid format: ${UNDECODABLE}:\n\t${why}\n`)
const clientError = (why) => new RpcError(CLIENT_ERROR, `Client error: ${UNDECODABLE}:\n\t${why}\n`)
// The error, by its words, about bytes that are no extrinsic, of a method that asks about fees.
export const notQueried = (what) => (why) =>
  new RpcError(
    2,
    `Unable to query ${what}.`,
    `Error { cause: Some(Error { cause: None, desc: "${why}" }), desc: "${UNDECODABLE}" }`,
  )

// An extrinsic as it travels: its bytes behind their length, and nothing of what follows them. Throws `refused(why)`.
export function extrinsic(bytes, refused = badFormat) {
  let length
  try {
    length = new Reader(hexToU8a(bytes.slice(0, 12))).compact()
  } catch (error) {
    if (!(error instanceof ScaleError)) throw error
    throw refused('Not enough data to fill buffer')
  }
  const end = 2 + 2 * (compact(length).length + length)
  if (end > bytes.length) throw refused('Not enough data to decode vector')
  return bytes.slice(0, end)
}

const author_submitExtrinsic = method(
  { extrinsic: hex },
  ({ chain }, [bytes]) => chain.submit(extrinsic(bytes, clientError)).hash,
)

// Submit, and hear of the extrinsic until it is in a final block or gone: `tell(notify, status, detail)` words the news.
function watch(chain, bytes, connection, notification, tell) {
  const { hash, status } = chain.submit(extrinsic(bytes))
  let timer
  const heard = (news, detail) => {
    tell(notify, news, detail)
    if (!news.inBlock) return connection.unsubscribe(id)
    const since = Date.now()
    const final = () => {
      const quiet = Date.now() - Math.max(since, connection.lastHeard)
      if (quiet < QUIET && Date.now() < since + MOST_QUIET) return (timer = setTimeout(final, QUIET - quiet))
      tell(notify, { finalized: news.inBlock }, detail)
      return connection.unsubscribe(id)
    }
    final()
  }
  const { id, notify } = connection.subscribe(notification, () => {
    clearTimeout(timer)
    chain.events.off(hash, heard)
  })
  chain.events.on(hash, heard)
  tell(notify, status)
  return id
}

const author_submitAndWatchExtrinsic = method({ extrinsic: hex }, ({ chain }, [bytes], connection) =>
  watch(chain, bytes, connection, 'author_extrinsicUpdate', (notify, news) => notify(news)),
)

function watchEvent(notify, news, { block, index, reason } = {}) {
  const place = block && { hash: block.hash, index }
  if (news.inBlock) notify({ event: 'bestChainBlockIncluded', block: place })
  else if (news.finalized) notify({ event: 'finalized', block: place })
  else if (news === 'ready' || news === 'future') notify({ event: 'validated' })
  else if (news === 'invalid') notify({ event: 'invalid', error: reason })
  else notify({ event: 'dropped', error: reason ?? 'another extrinsic took its place' })
}

function inWords({ code, message, data }) {
  if (code === BAD_FORMAT) return 'Extrinsic bytes cannot be decoded'
  const words = message.replace('Invalid Transaction', 'Invalid transaction') // its other spelling there
  return [words, data].filter(Boolean).join(': ')
}

// As in a node, what the pool refuses is told by the subscription, and not by an error.
const transactionWatch_v1_submitAndWatch = method({ transaction: hex }, ({ chain }, [bytes], connection) => {
  const notification = 'transactionWatch_v1_watchEvent'
  try {
    return watch(chain, bytes, connection, notification, watchEvent)
  } catch (refusal) {
    if (!Number.isInteger(refusal.code)) throw refusal
    const { id, notify } = connection.subscribe(notification, () => {})
    notify({ event: 'invalid', error: inWords(refusal) })
    connection.unsubscribe(id)
    return id
  }
})

// What a light client does with an extrinsic: an invalid one is not its sender's to know.
const transaction_v1_broadcast = method({ transaction: hex }, ({ chain, log }, [bytes], connection) => {
  try {
    chain.submit(extrinsic(bytes))
  } catch (error) {
    if (!Number.isInteger(error.code)) throw error
    log('broadcast refused', { reason: error.data ?? error.message })
  }
  const id = randomBytes(8).toString('hex')
  return connection.remember('broadcast', id) ? id : null
})

const transaction_v1_stop = method({ operationId: name }, (_, [id], connection) => {
  if (connection.forget('broadcast', id)) return null
  throw new RpcError(INVALID_PARAMS, `Invalid params: operationId: nothing is broadcast under ${id}`)
})

export const authorMethods = {
  author_submitExtrinsic,
  author_submitAndWatchExtrinsic,
  author_unwatchExtrinsic: unsubscribe,
  author_pendingExtrinsics: method({}, ({ chain }) => chain.pending),
  transaction_v1_broadcast,
  transaction_v1_stop,
  transactionWatch_v1_submitAndWatch,
  transactionWatch_v1_unwatch: unsubscribe,
}
