// system_*, payment_*, chainSpec_v1_* and dev_*: the chain as a whole, fees, and what only a development chain does.
import { hexToU8a, u8aToHex } from '@polkadot/util'
import { z } from 'zod'
import { RuntimeError } from '../executor.mjs'
import { concat, Reader, unsigned } from '../scale.mjs'
import { extrinsic, notQueried } from './author.mjs'
import { account, hash, hex, INVALID_PARAMS, method, noRuntime, optional, RpcError, stateBlock } from './method.mjs'

// Blocks that one dev_newBlock may ask for.
const MOST_BLOCKS = 1000
// The end of the year 9999, in milliseconds: what clients can still write as a date.
const LAST_TIME = 253_402_300_799_999
const CLASSES = ['normal', 'operational', 'mandatory']
const VERSION = 'proofward-devnet'

const at = { hash: optional(hash) }

const nextIndex = method({ account }, ({ chain }, [id]) => chain.nextNonce(id))

const dryRun = method({ extrinsic: hex, ...at }, ({ chain }, [bytes, at]) =>
  chain.dryRun(stateBlock(chain, at), extrinsic(bytes)),
)

const health = () => ({ peers: 0, isSyncing: false, shouldHavePeers: false })

const system_syncState = method({}, ({ chain }) => {
  const { number } = chain.head
  return { startingBlock: 0, currentBlock: number, highestBlock: number }
})

// ---- fees -----------------------------------------------------------------------------------

function ask(chain, name, what, bytes, at) {
  const one = hexToU8a(extrinsic(bytes, notQueried(what)))
  const input = u8aToHex(concat(one, unsigned(one.length, 4)))
  if (at !== undefined && !chain.byHash(at)) throw new RpcError(1, `Unable to query ${what}.`, noRuntime(at))
  try {
    return new Reader(hexToU8a(chain.call(stateBlock(chain, at), `TransactionPaymentApi_${name}`, input)))
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error
    throw new RpcError(1, `Unable to query ${what}.`, `Execution failed: ${error.message}`)
  }
}

// RuntimeDispatchInfo.
const payment_queryInfo = method({ extrinsic: hex, ...at }, ({ chain }, [bytes, at]) => {
  const reader = ask(chain, 'query_info', 'dispatch info', bytes, at)
  const weight = { ref_time: Number(reader.big()), proof_size: Number(reader.big()) }
  return { weight, class: CLASSES[reader.u8()], partialFee: String(reader.unsigned(16)) }
})

// FeeDetails, without the tip, as nodes write it.
const payment_queryFeeDetails = method({ extrinsic: hex, ...at }, ({ chain }, [bytes, at]) => {
  const reader = ask(chain, 'query_fee_details', 'fee details', bytes, at)
  if (reader.u8() === 0) return { inclusionFee: null }
  const fee = () => `0x${reader.unsigned(16).toString(16)}`
  return { inclusionFee: { baseFee: fee(), lenFee: fee(), adjustedWeightFee: fee() } }
})

// ---- development ----------------------------------------------------------------------------

const blocks = z.number().int().min(0).max(0xffffffff)

const dev_newBlock = method(
  { options: optional(z.object({ count: blocks.optional(), to: blocks.optional() }).strict()) },
  async ({ chain }, [{ count, to } = {}]) => {
    const wanted = to === undefined ? (count ?? 1) : to - chain.head.number
    if (wanted < 1 || wanted > MOST_BLOCKS) {
      throw new RpcError(
        INVALID_PARAMS,
        `Invalid params: options: one call builds 1 to ${MOST_BLOCKS} blocks, not ${wanted}`,
      )
    }
    let block
    for (let built = 0; built < wanted; built += 1) block = await chain.newBlock()
    return block.hash
  },
)

const time = z
  .union([
    z.number(),
    z
      .string()
      .max(64)
      .transform((text) => Date.parse(text)),
  ])
  .pipe(z.number().int().min(0).max(LAST_TIME))

const dev_timeTravel = method({ time }, async ({ chain }, [milliseconds]) => {
  chain.travel(milliseconds)
  await chain.newBlock()
  return milliseconds
})

const dev_setRuntimeLogLevel = method({ level: z.number().int().min(0).max(5) }, ({ chain }, [level]) => {
  chain.runtimeLogLevel = level
  return null
})

export const systemMethods = {
  system_accountNextIndex: nextIndex,
  account_nextIndex: nextIndex,
  system_chain: method({}, ({ chain }) => chain.spec.name),
  system_chainType: method({}, ({ chain }) => chain.spec.chainType ?? 'Development'),
  system_dryRun: dryRun,
  system_dryRunAt: dryRun,
  system_health: method({}, health),
  system_localListenAddresses: method({}, () => []),
  system_name: method({}, () => VERSION),
  system_nodeRoles: method({}, () => ['Authority']),
  system_peers: method({}, () => []),
  system_properties: method({}, ({ chain }) => chain.spec.properties ?? {}),
  system_syncState,
  system_version: method({}, () => VERSION),
  payment_queryInfo,
  payment_queryFeeDetails,
  chainSpec_v1_chainName: method({}, ({ chain }) => chain.spec.name),
  chainSpec_v1_genesisHash: method({}, ({ chain }) => chain.genesis.hash),
  chainSpec_v1_properties: method({}, ({ chain }) => chain.spec.properties ?? {}),
  dev_newBlock,
  dev_timeTravel,
  dev_setRuntimeLogLevel,
}
