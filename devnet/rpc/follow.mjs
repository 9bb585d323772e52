// chainHead_v1_* and archive_v1_*, after https://paritytech.github.io/json-rpc-interface-spec/.

import { randomBytes } from 'node:crypto'
import { hexToU8a } from '@polkadot/util'
import { blake2AsHex } from '@polkadot/util-crypto'
import { z } from 'zod'
import { CODE } from '../chain.mjs'
import { RuntimeError } from '../executor.mjs'
import { CHILD_PREFIX } from '../state.mjs'
import { merkleValue } from '../trie.mjs'
import { count, flag, hash, hex, key, method, name, optional, RpcError, unsubscribe } from './method.mjs'

// Follow subscriptions of one connection, blocks that one holds, and its operations under way; as in a node.
const MOST_FOLLOWS = 4
const MOST_PINNED = 512
const MOST_OPERATIONS = 16
// Items of one storage query, entries that one step of it reads, and entries under one Merkle value.
const MOST_ITEMS = 1000
const STEP = 500
const STEP_SIZE = 8 * 1024 * 1024 // characters of their values
const NODE_SIZE = 1000 // what computing one node counts as
const MOST_UNDER = 10_000

const TOO_MANY_FOLLOWS = -32800
const NOT_PINNED = -32801
const NO_CONTINUE = -32803
const DISCARDED = 'State already discarded'
const LIMIT_REACHED = { result: 'limitReached' }

const TYPES = ['value', 'hash', 'closestDescendantMerkleValue', 'descendantsValues', 'descendantsHashes']
const items = z.array(z.object({ key, type: z.enum(TYPES) })).max(MOST_ITEMS)

// The prefix of a child trie's keys, from its name there; nothing for the main trie.
const prefixOf = (child) => (child === undefined ? '0x' : CHILD_PREFIX + child.slice(2))

// What a storage query finds: each item in the answer's shape, and how many characters were read for it.
function* storageItems(chain, block, items, child) {
  const trie = prefixOf(child)
  const read = (name) => chain.state.read(name, block.number)
  const found = (name, field) => {
    const value = read(name)
    if (value === null) return []
    const key = `0x${name.slice(trie.length)}`
    const item = field === 'value' ? { key, value } : { key, hash: blake2AsHex(hexToU8a(value), 256) }
    return [[item, value.length]]
  }
  for (const { key, type } of items) {
    const whole = trie + key.slice(2)
    if (type === 'value' || type === 'hash') yield* found(whole, type)
    else if (type === 'closestDescendantMerkleValue') {
      const merkle = merkleUnder(chain, block, whole, trie)
      if (merkle) yield [{ key, closestDescendantMerkleValue: merkle.value }, merkle.size]
    } else {
      for (let last; ; ) {
        const names = chain.state.keys(whole, block.number, STEP, last)
        for (const name of names) yield* found(name, type === 'descendantsValues' ? 'value' : 'hash')
        if (names.length < STEP) break
        last = names.at(-1)
      }
    }
  }
}

// The next items of such a query, as many as one turn has time for; `ended` when there are no more.
function nextItems(steps) {
  const items = []
  for (let size = 0; items.length < STEP && size < STEP_SIZE; ) {
    const { value, done } = steps.next()
    if (done) return { items, ended: true }
    items.push(value[0])
    size += value[1]
  }
  return { items, ended: false }
}

function merkleUnder(chain, block, prefix, trie) {
  const names = chain.state.keys(prefix, block.number, MOST_UNDER + 1)
  if (names.length === 0) return undefined
  if (names.length > MOST_UNDER) throw new RuntimeError(`more than ${MOST_UNDER} entries are below ${prefix}`)
  const pairs = names.map((name) => [
    hexToU8a(`0x${name.slice(trie.length)}`),
    hexToU8a(chain.state.read(name, block.number)),
  ])
  const beside = [
    chain.state.previousKey(names[0], block.number),
    chain.state.nextKey(trie, names.at(-1), block.number),
  ]
  const neighbours = beside
    .filter((name) => name?.startsWith(trie))
    .map((name) => hexToU8a(`0x${name.slice(trie.length)}`))
  const size = pairs.reduce((sum, [, value]) => sum + value.length + NODE_SIZE, 0)
  return { value: merkleValue(pairs, neighbours, 1), size }
}

// ---- chainHead ------------------------------------------------------------------------------

function runtimeOf(chain, block) {
  const { specName, implName, specVersion, implVersion, transactionVersion, apis } = chain.version(block)
  return {
    type: 'valid',
    spec: { specName, implName, specVersion, implVersion, transactionVersion, apis: Object.fromEntries(apis) },
  }
}

// One follow subscription: the blocks it holds and its operations.
class Follow {
  pinned = new Set()
  operations = new Map() // id -> iterator over what is still to be sent, or undefined for what answers at once

  constructor(notify, stop) {
    this.notify = notify
    this.stop = stop
  }

  pin(hash) {
    this.pinned.add(hash)
    if (this.pinned.size > MOST_PINNED) this.stop()
  }
}

const chainHead_v1_follow = method({ withRuntime: flag }, ({ chain }, [withRuntime], connection) => {
  if (connection.count('follow') >= MOST_FOLLOWS) {
    throw new RpcError(TOO_MANY_FOLLOWS, 'Maximum number of chainHead_follow has been reached')
  }
  const announce = ({ block, changes }) => {
    const newRuntime = withRuntime && changes.has(CODE) ? runtimeOf(chain, block) : null
    notify({ event: 'newBlock', blockHash: block.hash, parentBlockHash: chain.hashAt(block.number - 1), newRuntime })
    notify({ event: 'bestBlockChanged', bestBlockHash: block.hash })
    notify({ event: 'finalized', finalizedBlockHashes: [block.hash], prunedBlockHashes: [] })
    follow.pin(block.hash)
  }
  const { id, notify } = connection.subscribe('chainHead_v1_followEvent', () => {
    chain.events.off('block', announce)
    connection.forget('follow', id)
  })
  const follow = new Follow(notify, () => {
    notify({ event: 'stop' })
    connection.unsubscribe(id)
  })
  connection.remember('follow', id, follow)
  const { head } = chain
  follow.pin(head.hash)
  const runtime = withRuntime ? { finalizedBlockRuntime: runtimeOf(chain, head) } : {}
  notify({ event: 'initialized', finalizedBlockHashes: [head.hash], ...runtime })
  notify({ event: 'bestBlockChanged', bestBlockHash: head.hash })
  chain.events.on('block', announce)
  return id
})

const on = { followSubscription: name, hash }

// The subscription and its block. Throws when the block is not held; nothing when the subscription has ended.
function heldBlock(chain, connection, id, hash) {
  const follow = connection.recall('follow', id)
  if (!follow) return undefined
  if (!follow.pinned.has(hash)) throw new RpcError(NOT_PINNED, 'Invalid block hash')
  return { follow, block: chain.byHash(hash) }
}

const chainHead_v1_header = method(on, ({ chain }, [id, hash], connection) => {
  const held = heldBlock(chain, connection, id, hash)
  return held ? held.block.header : null
})

// Start an operation that sends its events after the answer: `run(send, operationId, follow)`, which may throw a
// RuntimeError.
function operation(context, connection, id, hash, run, answer = {}) {
  const held = heldBlock(context.chain, connection, id, hash)
  if (!held || held.follow.operations.size >= MOST_OPERATIONS) return LIMIT_REACHED
  const { follow, block } = held
  const operationId = randomBytes(8).toString('hex')
  follow.operations.set(operationId, undefined)
  context.soon(() => step(follow, operationId, () => run(block, operationId, follow)))
  return { result: 'started', operationId, ...answer }
}

// Run one part of an operation; a trap of the runtime is its error.
function step(follow, operationId, run) {
  if (!follow.operations.has(operationId)) return // stopped
  try {
    run()
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error
    follow.operations.delete(operationId)
    follow.notify({ event: 'operationError', operationId, error: error.message })
  }
}

function done(follow, operationId, event, fields = {}) {
  follow.operations.delete(operationId)
  follow.notify({ event, operationId, ...fields })
}

const chainHead_v1_body = method(on, (context, [id, hash], connection) =>
  operation(context, connection, id, hash, (block, operationId, follow) =>
    done(follow, operationId, 'operationBodyDone', { value: block.extrinsics }),
  ),
)

const chainHead_v1_call = method({ ...on, function: name, callParameters: hex }, (context, values, connection) => {
  const [id, hash, name, input] = values
  return operation(context, connection, id, hash, (block, operationId, follow) =>
    done(follow, operationId, 'operationCallDone', { output: context.chain.call(block, name, input) }),
  )
})

const chainHead_v1_storage = method({ ...on, items, childTrie: optional(key) }, (context, values, connection) => {
  const [id, hash, items, child] = values
  const run = (block, operationId, follow) => {
    follow.operations.set(operationId, storageItems(context.chain, block, items, child))
    send(follow, operationId)
  }
  return operation(context, connection, id, hash, run, { discardedItems: 0 })
})

// Send the next items of a storage query, then wait to be told to go on.
function send(follow, operationId) {
  const { items, ended } = nextItems(follow.operations.get(operationId))
  if (items.length > 0) follow.notify({ event: 'operationStorageItems', operationId, items })
  if (ended) done(follow, operationId, 'operationStorageDone')
  else follow.notify({ event: 'operationWaitingForContinue', operationId })
}

const ofOperation = { followSubscription: name, operationId: name }

const chainHead_v1_continue = method(ofOperation, (context, [id, operationId], connection) => {
  const follow = connection.recall('follow', id)
  if (!follow?.operations.get(operationId))
    throw new RpcError(NO_CONTINUE, 'Operation ID does not generate a continue event')
  context.soon(() => step(follow, operationId, () => send(follow, operationId)))
  return null
})

const chainHead_v1_stopOperation = method(ofOperation, (_, [id, operationId], connection) => {
  connection.recall('follow', id)?.operations.delete(operationId)
  return null
})

const hashes = z.union([hash, z.array(hash).max(MOST_PINNED)])

const chainHead_v1_unpin = method({ followSubscription: name, hashOrHashes: hashes }, (_, [id, which], connection) => {
  const follow = connection.recall('follow', id)
  if (!follow) return null
  const names = [which].flat()
  if (!names.every((one) => follow.pinned.has(one))) throw new RpcError(NOT_PINNED, 'Invalid block hash')
  for (const one of names) follow.pinned.delete(one)
  return null
})

const chainHead_v1_unfollow = method({ followSubscription: name }, (_, [id], connection) => {
  connection.unsubscribe(id)
  return null
})

// ---- archive --------------------------------------------------------------------------------

const archive_v1_header = method({ hash }, ({ chain }, [at]) => chain.byHash(at)?.header ?? null)
const archive_v1_body = method({ hash }, ({ chain }, [at]) => chain.byHash(at)?.extrinsics ?? null)

const archive_v1_hashByHeight = method({ height: count }, ({ chain }, [number]) => {
  const found = chain.hashAt(number)
  return found === undefined ? [] : [found]
})

const archive_v1_call = method({ hash, function: name, callParameters: hex }, ({ chain }, [at, name, input]) => {
  const block = chain.byHash(at)
  if (!block) return null
  if (block.number < chain.state.oldest) return { success: false, error: DISCARDED }
  try {
    return { success: true, value: chain.call(block, name, input) }
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error
    return { success: false, error: error.message }
  }
})

const archive_v1_storage = method(
  { hash, items, childTrie: optional(key) },
  (context, [at, items, child], connection) => {
    const { id, notify } = connection.subscribe('archive_v1_storageEvent', () => (stopped = true))
    let stopped = false
    const failed = (error) => {
      notify({ event: 'storageError', error })
      connection.unsubscribe(id)
    }
    const block = context.chain.byHash(at)
    const steps = block && storageItems(context.chain, block, items, child)
    const next = () => {
      if (stopped) return
      let found
      try {
        found = nextItems(steps)
      } catch (error) {
        if (!(error instanceof RuntimeError)) throw error
        return failed(error.message)
      }
      const place = child === undefined ? {} : { childTrieKey: child }
      for (const item of found.items) notify({ event: 'storage', ...item, ...place })
      if (!found.ended) return context.soon(next)
      notify({ event: 'storageDone' })
      connection.unsubscribe(id)
    }
    const problem = block ? block.number < context.chain.state.oldest && DISCARDED : `Block ${at} not found`
    context.soon(problem ? () => failed(problem) : next)
    return id
  },
)

export const followMethods = {
  chainHead_v1_follow,
  chainHead_v1_unfollow,
  chainHead_v1_header,
  chainHead_v1_body,
  chainHead_v1_call,
  chainHead_v1_storage,
  chainHead_v1_continue,
  chainHead_v1_stopOperation,
  chainHead_v1_unpin,
  archive_v1_header,
  archive_v1_body,
  archive_v1_call,
  archive_v1_hashByHeight,
  archive_v1_genesisHash: method({}, ({ chain }) => chain.genesis.hash),
  archive_v1_finalizedHeight: method({}, ({ chain }) => chain.head.number),
  archive_v1_storage,
  archive_v1_stopStorage: unsubscribe,
}
