// chain_*: blocks and heads. Every block is final, so all three kinds of heads are the same.
import { z } from 'zod'
import { headerJson } from '../scale.mjs'
import { hash, height, method, optional, unsubscribe } from './method.mjs'

// Numbers that one chain_getBlockHash may name.
const MOST_NUMBERS = 1024

const blockOf = (chain, at) => (at === undefined ? chain.head : chain.byHash(at))

const chain_getHeader = method({ hash: optional(hash) }, ({ chain }, [at]) => {
  const block = blockOf(chain, at)
  return block ? headerJson(block.header) : null
})

const chain_getBlock = method({ hash: optional(hash) }, ({ chain }, [at]) => {
  const block = blockOf(chain, at)
  if (!block) return null
  return { block: { header: headerJson(block.header), extrinsics: block.extrinsics }, justifications: null }
})

const chain_getBlockHash = method(
  { number: optional(z.union([z.array(height).max(MOST_NUMBERS), height])) },
  ({ chain }, [number]) => {
    if (number === undefined) return chain.head.hash
    const hashes = [number].flat().map((one) => chain.hashAt(one) ?? null)
    return Array.isArray(number) ? hashes : hashes[0]
  },
)

const chain_getFinalizedHead = method({}, ({ chain }) => chain.head.hash)

const heads = (notification) =>
  method({}, ({ chain }, _, connection) => {
    const announce = ({ block }) => notify(headerJson(block.header))
    const { id, notify } = connection.subscribe(notification, () => chain.events.off('block', announce))
    chain.events.on('block', announce)
    announce({ block: chain.head })
    return id
  })

const newHeads = heads('chain_newHead')
const finalizedHeads = heads('chain_finalizedHead')

export const chainMethods = {
  chain_getHeader,
  chain_getBlock,
  chain_getBlockHash,
  chain_getHead: chain_getBlockHash,
  chain_getFinalizedHead,
  chain_getFinalisedHead: chain_getFinalizedHead,
  chain_subscribeAllHeads: heads('chain_allHead'),
  chain_unsubscribeAllHeads: unsubscribe,
  chain_subscribeNewHead: newHeads,
  chain_subscribeNewHeads: newHeads,
  chain_unsubscribeNewHead: unsubscribe,
  chain_unsubscribeNewHeads: unsubscribe,
  chain_subscribeFinalizedHeads: finalizedHeads,
  chain_subscribeFinalisedHeads: finalizedHeads,
  chain_unsubscribeFinalizedHeads: unsubscribe,
  chain_unsubscribeFinalisedHeads: unsubscribe,
}
