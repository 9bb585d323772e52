// state_* and childstate_*: storage, runtime calls and the runtime's version.
import { hexToU8a, u8aToHex } from '@polkadot/util'
import { blake2AsHex } from '@polkadot/util-crypto'
import { CODE } from '../chain.mjs'
import { Reader } from '../scale.mjs'
import { CHILD_PREFIX } from '../state.mjs'
import {
  count,
  hash,
  hex,
  key,
  keys,
  method,
  name,
  noRuntime,
  optional,
  RpcError,
  reader,
  stateBlock,
  unsubscribe,
} from './method.mjs'

// As in a node: keys of one page.
const MOST_PAGE = 1000
// Keys and pairs that an answer without pages may have, and bytes of values in it.
const MOST_PAIRS = 100_000
const MOST_VALUES = 16 * 1024 * 1024
// Changes that one state_queryStorage may find.
const MOST_CHANGES = 10_000
const INVALID_RANGE = 4001
const INVALID_COUNT = 4002

const at = { hash: optional(hash) }
const sizeOf = (value) => (value.length - 2) / 2

function allKeys(chain, prefix, block) {
  const found = chain.state.keys(prefix, block.number, MOST_PAIRS + 1)
  if (found.length > MOST_PAIRS) throw new RpcError(INVALID_COUNT, `more than ${MOST_PAIRS} keys: ask for pages`)
  return found
}

const getStorage = method({ key, ...at }, ({ chain }, [name, at]) => reader(chain, at)(name))

const getStorageHash = method({ key, ...at }, ({ chain }, [name, at]) => {
  const value = reader(chain, at)(name)
  return value === null ? null : blake2AsHex(hexToU8a(value), 256)
})

// The value's bytes; of a prefix, the sum over what lies below it.
const getStorageSize = method({ key, ...at }, ({ chain }, [name, at]) => {
  const block = stateBlock(chain, at)
  const value = chain.state.read(name, block.number)
  if (value !== null) return sizeOf(value)
  const sizes = allKeys(chain, name, block).map((one) => sizeOf(chain.state.read(one, block.number)))
  return sizes.reduce((sum, size) => sum + size, 0) || null
})

const getKeys = method({ prefix: key, ...at }, ({ chain }, [prefix, at]) =>
  allKeys(chain, prefix, stateBlock(chain, at)),
)

// Keys with their values. Throws when these are more than one answer takes.
function pairsOf(names, read) {
  let size = 0
  return names.map((one) => {
    const value = read(one)
    size += value === null ? 0 : sizeOf(value)
    if (size > MOST_VALUES)
      throw new RpcError(INVALID_COUNT, `more than ${MOST_VALUES} bytes of values: ask for fewer keys`)
    return [one, value]
  })
}

const getPairs = method({ prefix: key, ...at }, ({ chain }, [prefix, at]) => {
  const block = stateBlock(chain, at)
  return pairsOf(allKeys(chain, prefix, block), (one) => chain.state.read(one, block.number))
})

function pageOf(chain, prefix, size, start, block) {
  if (size > MOST_PAGE) {
    throw new RpcError(INVALID_COUNT, `count exceeds maximum value. value: ${size}, max: ${MOST_PAGE}`)
  }
  return chain.state.keys(prefix, block.number, size, start)
}

const page = { prefix: optional(key), count, startKey: optional(key), ...at }

const getKeysPaged = method(page, ({ chain }, [prefix = '0x', size, start, at]) => {
  const block = stateBlock(chain, at)
  return pageOf(chain, prefix, size, start, block)
})

const badRange = (from, to, why) =>
  new RpcError(INVALID_RANGE, `Cannot resolve a block range ['"${from}"' ... '"${to}"]. ${why}`)

// Throws what a node answers where it does not know one of the two blocks, by their hashes.
function requireKnown(chain, from, to) {
  const unknown = [from, to].find((one) => !chain.byHash(one))
  if (unknown !== undefined)
    throw badRange(from, `Some(${to})`, `UnknownBlock: Header was not found in the database: ${unknown}`)
}

const state_queryStorageAt = method({ keys, ...at }, ({ chain }, [names, at]) => {
  if (at !== undefined) requireKnown(chain, at, at)
  return [{ block: at ?? chain.head.hash, changes: pairsOf(names, reader(chain, at)) }]
})

// The values at the first block, and then what changed at each up to the last.
const state_queryStorage = method({ keys, from: hash, to: optional(hash) }, ({ chain }, [names, from, to]) => {
  requireKnown(chain, from, to ?? chain.head.hash)
  const [first, last] = [stateBlock(chain, from), stateBlock(chain, to)]
  if (first.number > last.number) {
    const [start, end] = [first, last].map(({ number, hash }) => `${number} (${hash})`)
    throw badRange(start, end, 'from number > to number')
  }
  const changes = new Map([[first.number, pairsOf(names, (one) => chain.state.read(one, first.number))]])
  let found = names.length
  let size = 0
  for (const one of names) {
    let known = chain.state.read(one, first.number)
    for (const height of chain.state.changes(one, first.number + 1, last.number)) {
      const value = chain.state.read(one, height)
      if (value === known) continue
      known = value
      found += 1
      size += value === null ? 0 : sizeOf(value)
      if (found > MOST_CHANGES || size > MOST_VALUES)
        throw new RpcError(
          INVALID_COUNT,
          `more than ${MOST_CHANGES} changes, or ${MOST_VALUES} bytes: ask for fewer blocks`,
        )
      if (!changes.has(height)) changes.set(height, [])
      changes.get(height).push([one, value])
    }
  }
  const heights = [...changes.keys()].sort((one, other) => one - other)
  return heights.map((height) => ({ block: chain.hashAt(height), changes: changes.get(height) }))
})

const state_call = method({ name, data: hex, ...at }, ({ chain }, [name, data, at]) =>
  chain.call(
    stateBlock(chain, at, (hash) => `UnknownBlock: Expect block number from id: Hash(${hash})`),
    name,
    data,
  ),
)

const state_getMetadata = method(at, ({ chain }, [at]) => {
  const opaque = chain.call(stateBlock(chain, at, noRuntime), 'Metadata_metadata', '0x')
  return u8aToHex(new Reader(hexToU8a(opaque)).sized())
})

const state_getRuntimeVersion = method(at, ({ chain }, [at]) => chain.version(stateBlock(chain, at, noRuntime)))

const state_subscribeStorage = method({ keys }, ({ chain }, [names], connection) => {
  const block = chain.head
  const first = pairsOf(names, (one) => chain.state.read(one, block.number))
  const wanted = new Set(names)
  const announce = ({ block, changes }) => {
    const changed = [...changes].filter(([one]) => wanted.has(one))
    if (changed.length > 0) notify({ block: block.hash, changes: changed })
  }
  const ended = () => chain.events.off('block', announce)
  const { id, notify } = connection.subscribe('state_storage', ended, names.length)
  chain.events.on('block', announce)
  notify({ block: block.hash, changes: first })
  return id
})

const state_subscribeRuntimeVersion = method({}, ({ chain }, _, connection) => {
  const announce = ({ block, changes }) => {
    if (changes.has(CODE)) notify(chain.version(block))
  }
  const { id, notify } = connection.subscribe('state_runtimeVersion', () => chain.events.off('block', announce))
  chain.events.on('block', announce)
  notify(chain.version(chain.head))
  return id
})

// ---- child tries ----------------------------------------------------------------------------

const child = key.refine(
  (text) => text.startsWith(CHILD_PREFIX) && text.length > CHILD_PREFIX.length,
  'expected a key below :child_storage:default:',
)
const below = (trie, name) => trie + name.slice(2)

const childstate_getStorage = method({ childStorageKey: child, key, ...at }, ({ chain }, [trie, name, at]) =>
  reader(chain, at)(below(trie, name)),
)

const childstate_getKeysPaged = method({ childStorageKey: child, ...page }, ({ chain }, values) => {
  const [trie, prefix = '0x', size, start, at] = values
  const block = stateBlock(chain, at)
  const from = start === undefined ? undefined : below(trie, start)
  return pageOf(chain, below(trie, prefix), size, from, block).map((one) => `0x${one.slice(trie.length)}`)
})

export const stateMethods = {
  state_getStorage: getStorage,
  state_getStorageAt: getStorage,
  state_getStorageHash: getStorageHash,
  state_getStorageHashAt: getStorageHash,
  state_getStorageSize: getStorageSize,
  state_getStorageSizeAt: getStorageSize,
  state_getKeys: getKeys,
  state_getPairs: getPairs,
  state_getKeysPaged: getKeysPaged,
  state_getKeysPagedAt: getKeysPaged,
  state_queryStorage,
  state_queryStorageAt,
  state_call,
  state_callAt: state_call,
  state_getMetadata,
  state_getRuntimeVersion,
  chain_getRuntimeVersion: state_getRuntimeVersion,
  state_subscribeStorage,
  state_unsubscribeStorage: unsubscribe,
  state_subscribeRuntimeVersion,
  state_unsubscribeRuntimeVersion: unsubscribe,
  chain_subscribeRuntimeVersion: state_subscribeRuntimeVersion,
  chain_unsubscribeRuntimeVersion: unsubscribe,
  childstate_getStorage,
  childstate_getKeysPaged,
}
