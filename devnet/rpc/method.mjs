// What a JSON-RPC method is here: the names and schemas of its parameters, and a handler that sees only values which fit.
import { decodeAddress } from '@polkadot/util-crypto'
import { z } from 'zod'

export class RpcError extends Error {
  constructor(code, message, data) {
    super(message)
    this.code = code
    this.data = data
  }
}

export const INVALID_PARAMS = -32602
// As nodes number it: what the state or the runtime has against a request.
export const CLIENT_ERROR = 4003

// { params: [[name, schema]], run(context, values, connection) }. `context` has the chain; `connection` the
// subscriptions of a WebSocket.
export const method = (params, run) => ({ params: Object.entries(params), run })

// The values that a method's handler gets. Throws an RpcError that names the parameter which does not fit.
export function checked({ params }, values) {
  if (!Array.isArray(values)) throw new RpcError(INVALID_PARAMS, 'Invalid params: they must be an array')
  const extra = values.findIndex((value, at) => at >= params.length && value !== null)
  if (extra >= 0) {
    const names = params.map(([name]) => name).join(', ') || 'nothing'
    throw new RpcError(INVALID_PARAMS, `Invalid params: number ${extra + 1} is one too many; the method takes ${names}`)
  }
  return params.map(([name, schema], at) => {
    const result = schema.safeParse(values[at])
    if (result.success) return result.data
    const [{ path, message }] = result.error.issues
    throw new RpcError(INVALID_PARAMS, `Invalid params: ${[name, ...path].join('.')}: ${message}`)
  })
}

// ---- what parameters are made of ------------------------------------------------------------

// Bytes of a storage key: the longest of this runtime's are below 200.
const MOST_KEY = 4096
// Keys that one request may name.
export const MOST_KEYS = 10_000
// The length of a runtime function's name and of a subscription's id.
const MOST_NAME = 128

const NOT_HEX = /[^0-9a-fA-F]/

const bare = (text) => (text.startsWith('0x') ? text.slice(2) : text)
const isHex = (text) => text.length % 2 === 0 && !NOT_HEX.test(bare(text))

// Bytes as hexadecimal, as nodes take it: in either case, with 0x or without. Handlers get lower case, with 0x.
export const hex = z
  .string()
  .refine(isHex, 'expected hexadecimal digits, two a byte')
  .transform((text) => `0x${bare(text).toLowerCase()}`)
export const hash = hex.refine((text) => text.length === 66, 'expected a hash of 32 bytes')
export const key = hex.refine((text) => text.length <= 2 + 2 * MOST_KEY, `expected at most ${MOST_KEY} bytes`)
export const keys = z.array(key).max(MOST_KEYS)
// A parameter that may be left out, or be null.
export const optional = (schema) => schema.nullish().transform((value) => value ?? undefined)
export const name = z.string().min(1).max(MOST_NAME)
export const count = z.number().int().min(0)
// A block's number: as a number, or as hexadecimal without leading zeros, as nodes write it.
export const height = z.union([
  count.max(0xffffffff),
  z
    .string()
    .regex(/^0x[0-9a-fA-F]{1,8}$/, 'expected a block number')
    .transform((text) => Number.parseInt(text, 16)),
])
export const flag = z.boolean()

// An account's 32 bytes, from SS58 or hexadecimal.
export const account = z
  .string()
  .max(MOST_NAME)
  .transform((text, context) => {
    let bytes
    try {
      bytes = decodeAddress(text)
    } catch {
      bytes = undefined
    }
    if (bytes?.length === 32) return bytes
    context.addIssue({ code: 'custom', message: 'expected an account in SS58' })
    return z.NEVER
  })

// ---- what several methods share --------------------------------------------------------------

const noState = (reason) => new RpcError(CLIENT_ERROR, `Client error: ${reason}`)
const noHeader = (hash) => `UnknownBlock: Header was not found in the database: ${hash}`
const discarded = ({ hash }) => noState(`UnknownBlock: State already discarded for: ${hash}`)
// The same of a block that a function of the runtime is asked for.
export const noRuntime = (hash) => `Api called for an unknown Block: Header was not found in the database: ${hash}`

function knownBlock(chain, at, unknown = noHeader) {
  const block = at === undefined ? chain.head : chain.byHash(at)
  if (block) return block
  throw noState(unknown(at))
}

// The block of that hash, or the head. Throws what a node answers about the state of a block that it does not know, or
// whose state it has forgotten; `unknown` words the former.
export function stateBlock(chain, at, unknown = noHeader) {
  const block = knownBlock(chain, at, unknown)
  if (block.number >= chain.state.oldest) return block
  throw discarded(block)
}

// A function that reads keys after the block of that hash, or the head. Throws like `stateBlock`; for an old block, only
// when a key is read that the block did not set.
export function reader(chain, at) {
  const block = knownBlock(chain, at)
  return (key) => {
    const value = chain.read(key, block)
    if (value === undefined) throw discarded(block)
    return value
  }
}

// A method that ends a subscription: true when there was one.
export const unsubscribe = method({ subscription: name }, (_, [id], connection) => connection.unsubscribe(id))
