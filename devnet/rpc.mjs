// The JSON-RPC methods: chopsticks' handlers for reading, our own where blocks are made or a client needs another
// spelling.
import { allHandlers, ResponseError } from '@acala-network/chopsticks-core'
import { hexToU8a, isHex } from '@polkadot/util'
import { blake2AsHex } from '@polkadot/util-crypto'

// Blocks that one dev_newBlock may ask for.
const MOST_BLOCKS = 1000
// Handlers of chopsticks that change state behind the ledger's back.
const LEFT_OUT = [
  'dev_getReadProof',
  'dev_runBlock',
  'dev_setBlockBuildMode',
  'dev_setHead',
  'dev_setStorage',
  'state_getReadProof',
]

function extrinsicOf(value) {
  if (!isHex(value) || value.length < 10) throw new ResponseError(-32602, 'the extrinsic must be a hex string')
  return value
}

async function author_submitExtrinsic({ chain }, [extrinsic]) {
  return chain.submitExtrinsic(extrinsicOf(extrinsic))
}

async function author_submitAndWatchExtrinsic({ chain }, [extrinsic], { subscribe, unsubscribe }) {
  const hash = blake2AsHex(hexToU8a(extrinsicOf(extrinsic)), 256)
  const id = `watch-${hash.slice(2, 18)}-${Math.random().toString(36).slice(2)}`
  const settled = ({ block, dropped }) => {
    if (block) {
      notify({ inBlock: block })
      notify({ finalized: block })
    } else notify(dropped.invalid === undefined ? 'dropped' : 'invalid')
    unsubscribe(id)
  }
  const notify = subscribe('author_extrinsicUpdate', id, () => chain.events.off(hash, settled))
  chain.events.once(hash, settled)
  try {
    await chain.submitExtrinsic(extrinsic)
  } catch (error) {
    unsubscribe(id)
    throw error
  }
  setTimeout(() => notify('ready'), 0) // after the subscription's id has gone out
  return id
}

async function system_accountNextIndex({ chain }, [address]) {
  return chain.nextNonce(address)
}

async function dev_newBlock({ chain }, [options]) {
  const { count, to } = options ?? {}
  const wanted = to === undefined ? (count ?? 1) : to - chain.head.number
  if (!Number.isInteger(wanted) || wanted < 1 || wanted > MOST_BLOCKS) {
    throw new ResponseError(-32602, `dev_newBlock builds 1 to ${MOST_BLOCKS} blocks, not ${wanted}`)
  }
  let block
  for (let built = 0; built < wanted; built += 1) block = await chain.newBlock()
  return block.hash
}

async function dev_timeTravel({ chain }, [time]) {
  const milliseconds = typeof time === 'string' ? Date.parse(time) : Number(time)
  if (!Number.isSafeInteger(milliseconds)) throw new ResponseError(-32602, `${time} is no time in milliseconds`)
  chain.travel(milliseconds)
  await chain.newBlock()
  return milliseconds
}

const own = {
  author_submitExtrinsic,
  author_submitAndWatchExtrinsic,
  system_accountNextIndex,
  account_nextIndex: system_accountNextIndex,
  dev_newBlock,
  dev_timeTravel,
  chain_getFinalisedHead: allHandlers.chain_getFinalizedHead,
  chain_subscribeFinalisedHeads: allHandlers.chain_subscribeFinalizedHeads,
  chain_unsubscribeFinalisedHeads: allHandlers.chain_unsubscribeFinalizedHeads,
  chain_subscribeAllHeads: allHandlers.chain_subscribeNewHeads,
  chain_unsubscribeAllHeads: allHandlers.chain_unsubscribeNewHeads,
  chain_getRuntimeVersion: allHandlers.state_getRuntimeVersion,
  system_version: async () => 'proofward-devnet',
  system_peers: async () => [],
}

const methods = { ...allHandlers, ...own }
for (const name of LEFT_OUT) delete methods[name]
methods.rpc_methods = async () => ({ version: 1, methods: Object.keys(methods).sort() })

export function rpcHandler(context) {
  return async ({ method, params }, subscriptions) => {
    const handler = Object.hasOwn(methods, method) ? methods[method] : undefined
    if (!handler) throw new ResponseError(-32601, `Method not found: ${method}`)
    return handler(context, params ?? [], subscriptions)
  }
}
