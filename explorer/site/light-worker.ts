// smoldot, in a worker: the page itself runs no WebAssembly, and this file's own policy names the peers.
//
// First message in: the chain's spec; it is `ready`, or is `refused` with a reason. Then JSON-RPC both ways.
import { start } from 'smoldot'

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'message'; readonly text: string }
  | { readonly kind: 'refused' | 'ended'; readonly reason: string }

const tell = (what: FromWorker): void => postMessage(what)
const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 400)

async function serve(chainSpec: string): Promise<void> {
  const client = start({ maxLogLevel: 1, logCallback: () => {} })
  const chain = await client.addChain({ chainSpec }).catch((error: unknown) => {
    tell({ kind: 'refused', reason: reason(error) })
    throw error
  })
  self.onmessage = (event: MessageEvent<string>) => {
    try {
      chain.sendJsonRpc(event.data)
    } catch (error) {
      tell({ kind: 'ended', reason: reason(error) })
    }
  }
  tell({ kind: 'ready' })
  for (;;) tell({ kind: 'message', text: await chain.nextJsonRpcResponse() })
}

self.onmessage = (event: MessageEvent<string>) => {
  serve(event.data).catch((error: unknown) => tell({ kind: 'ended', reason: reason(error) }))
}
