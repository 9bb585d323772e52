// The JSON-RPC methods that the embedded chain offers.
import { RuntimeError } from '../executor.mjs'
import { authorMethods } from './author.mjs'
import { chainMethods } from './chain.mjs'
import { followMethods } from './follow.mjs'
import { CLIENT_ERROR, checked, method, RpcError } from './method.mjs'
import { stateMethods } from './state.mjs'
import { systemMethods } from './system.mjs'

export const methods = new Map(
  Object.entries({ ...authorMethods, ...chainMethods, ...followMethods, ...stateMethods, ...systemMethods }),
)
methods.set(
  'rpc_methods',
  method({}, () => ({ methods: [...methods.keys()].sort() })),
)

const METHOD_NOT_FOUND = -32601

// A function of a request and its connection that gives the result, or throws an error with a JSON-RPC code.
export function rpcHandler({ chain, log }) {
  const soon = (run) =>
    setImmediate(() => {
      try {
        run()
      } catch (error) {
        log('operation failed', { error: String(error?.stack ?? error) })
      }
    })
  const context = { chain, log, soon }
  return async ({ method: name, params }, connection) => {
    const found = methods.get(name)
    if (!found) throw new RpcError(METHOD_NOT_FOUND, `Method not found: ${name.slice(0, 128)}`)
    const values = checked(found, params ?? [])
    try {
      return await found.run(context, values, connection)
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error
      throw new RpcError(CLIENT_ERROR, `Client error: Execution failed: ${error.message}`)
    }
  }
}
