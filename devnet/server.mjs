// JSON-RPC 2.0 over WebSocket and HTTP POST on one port.
import http from 'node:http'
import { WebSocket, WebSocketServer } from 'ws'

const MOST_BYTES = 16 * 1024 * 1024
const MOST_IN_BATCH = 256

const failure = (id, code, message, data) => ({ jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } })

function isRequest(value) {
  return typeof value === 'object' && value !== null && typeof value.method === 'string'
}

async function answer(handler, request, subscriptions) {
  if (!isRequest(request)) return failure(null, -32600, 'Invalid Request')
  const { id, params } = request
  if (params !== undefined && !Array.isArray(params)) return failure(id ?? null, -32602, 'params must be an array')
  try {
    const result = await handler(request, subscriptions)
    return id === undefined ? undefined : { jsonrpc: '2.0', id, result: result ?? null }
  } catch (error) {
    const code = Number.isInteger(error?.code) ? error.code : -32603
    return failure(id ?? null, code, String(error?.message ?? error), error?.data)
  }
}

async function answerText(handler, text, subscriptions) {
  let message
  try {
    message = JSON.parse(text)
  } catch {
    return failure(null, -32700, 'Parse error')
  }
  if (!Array.isArray(message)) return answer(handler, message, subscriptions)
  if (message.length === 0 || message.length > MOST_IN_BATCH) return failure(null, -32600, 'Invalid Request')
  const answers = await Promise.all(message.map((request) => answer(handler, request, subscriptions)))
  return answers.filter((one) => one !== undefined)
}

const NO_SUBSCRIPTIONS = {
  subscribe: () => {
    throw Object.assign(new Error('Subscriptions need a WebSocket'), { code: -32601 })
  },
  unsubscribe: () => {},
}

// The subscriptions of one socket, in the shape that chopsticks' handlers take.
function subscriptionsOf(send) {
  const cancel = new Map()
  return {
    subscribe: (method, id, onCancel = () => {}) => {
      cancel.set(id, onCancel)
      return (result) => cancel.has(id) && send({ jsonrpc: '2.0', method, params: { subscription: id, result } })
    },
    unsubscribe: (id) => {
      cancel.get(id)?.(id)
      cancel.delete(id)
    },
    close: () => {
      for (const [id, onCancel] of cancel) onCancel(id)
      cancel.clear()
    },
  }
}

function onSocket(handler, socket) {
  const send = (message) => socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message))
  const subscriptions = subscriptionsOf(send)
  socket.on('message', async (text) => {
    const reply = await answerText(handler, text.toString(), subscriptions)
    if (reply !== undefined) send(reply)
  })
  socket.on('error', () => socket.terminate())
  socket.on('close', subscriptions.close)
}

async function onPost(handler, request, response) {
  const parts = []
  let size = 0
  for await (const part of request) {
    size += part.length
    if (size > MOST_BYTES) {
      response.writeHead(413).end()
      return
    }
    parts.push(part)
  }
  const reply = await answerText(handler, Buffer.concat(parts).toString(), NO_SUBSCRIPTIONS)
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(reply === undefined ? '' : JSON.stringify(reply))
}

// Listen; port 0 takes a free one. Rejects with the system's error when the port cannot be had.
export async function listen(handler, { host, port }) {
  const server = http.createServer((request, response) => {
    if (request.method !== 'POST') response.writeHead(405).end()
    else onPost(handler, request, response).catch(() => response.destroy())
  })
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const sockets = new WebSocketServer({ server, maxPayload: MOST_BYTES })
  sockets.on('connection', (socket) => onSocket(handler, socket))
  return {
    port: server.address().port,
    close: () => {
      for (const socket of sockets.clients) socket.terminate()
      server.close()
      server.closeAllConnections()
    },
  }
}
