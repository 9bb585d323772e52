// JSON-RPC 2.0 over WebSocket and HTTP POST on one port, and GET /health. A web page may ask only when its origin is
// allowed; whoever asks, no request is larger, and no connection keeps more, than LIMITS says.
import { randomBytes } from 'node:crypto'
import http from 'node:http'
import { isIP } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'

export const LIMITS = {
  requestBytes: 16 * 1024 * 1024, // of a body or a frame
  answerBytes: 32 * 1024 * 1024, // of an answer, a whole batch's too
  batch: 256, // requests in one
  waiting: 256, // requests of one connection that are not answered yet
  backlogBytes: 64 * 1024 * 1024, // that a connection has not read yet: then it is closed
  connections: 512,
  subscriptions: 1024, // of one connection
  subscribedKeys: 20_000, // of all of these together
  remembered: 1024, // of one connection, of a kind: broadcasts, followed heads
  idBytes: 256, // of a request's id, when it is a string
  headersMs: 10_000,
  requestMs: 30_000,
  turnMs: 20, // that a batch takes before blocks and other requests have their turn
}

const PARSE_ERROR = -32700
const INVALID_REQUEST = -32600
const METHOD_NOT_FOUND = -32601
const INTERNAL = -32603
const TOO_MANY_SUBSCRIPTIONS = -32006
const ANSWER_TOO_BIG = -32008
const BUSY = -32009
const BATCH_TOO_BIG = -32010

const error = (code, message, data) => Object.assign(new Error(message), { code, data })

function failure(id, { code, message, data }) {
  return { jsonrpc: '2.0', id, error: { code, message, ...(data === undefined ? {} : { data }) } }
}

const isId = (id) =>
  id === undefined || id === null || Number.isFinite(id) || (typeof id === 'string' && id.length <= LIMITS.idBytes)

function isRequest(value) {
  return typeof value === 'object' && value !== null && typeof value.method === 'string' && isId(value.id)
}

// ---- one connection -------------------------------------------------------------------------

// What a method's handler sees of its WebSocket: subscriptions, and what else ends with the connection.
export class Connection {
  #send
  #subscriptions = new Map() // id -> { cancel, held: [notification] until the answer with the id has gone out }
  #keys = 0 // of all subscriptions
  #kept = new Map() // kind -> Map(id -> value)
  lastHeard = 0 // when it last asked something, in milliseconds since 1970

  constructor(send) {
    this.#send = send
  }

  // Begin a subscription to so many keys: its id, and a function that sends one result. `cancel` is called when it ends.
  // Throws when the connection has too many.
  subscribe(method, cancel, keys = 0) {
    const { subscriptions, subscribedKeys } = LIMITS
    if (this.#subscriptions.size >= subscriptions || this.#keys + keys > subscribedKeys) {
      const most = `at most ${subscriptions}, of ${subscribedKeys} keys`
      throw error(TOO_MANY_SUBSCRIPTIONS, 'Too many subscriptions on the connection', most)
    }
    this.#keys += keys
    const id = randomBytes(12).toString('base64url')
    const subscription = { cancel, keys, held: [] }
    this.#subscriptions.set(id, subscription)
    const notify = (result) => {
      if (this.#subscriptions.get(id) !== subscription) return
      const notification = { jsonrpc: '2.0', method, params: { subscription: id, result } }
      if (subscription.held) subscription.held.push(notification)
      else this.#send(notification)
    }
    return { id, notify }
  }

  // End a subscription; false when there is none of that id.
  unsubscribe(id) {
    const subscription = this.#subscriptions.get(id)
    if (!subscription) return false
    // the last word of one that ended before its id went out
    if (subscription.held?.length > 0) this.#ended.set(id, subscription.held)
    this.#subscriptions.delete(id)
    this.#keys -= subscription.keys
    subscription.cancel()
    return true
  }

  #ended = new Map() // id -> notifications

  // Answers with these results have gone out: send what was held back behind those that are ids.
  release(results) {
    for (const id of results) {
      const subscription = this.#subscriptions.get(id)
      const held = this.#ended.get(id) ?? subscription?.held ?? []
      this.#ended.delete(id)
      if (subscription) subscription.held = undefined
      for (const notification of held) this.#send(notification)
    }
  }

  #of(kind) {
    if (!this.#kept.has(kind)) this.#kept.set(kind, new Map())
    return this.#kept.get(kind)
  }

  // Keep a value under an id while the connection lasts; false when there are too many of its kind.
  remember(kind, id, value = true) {
    if (this.count(kind) >= LIMITS.remembered) return false
    this.#of(kind).set(id, value)
    return true
  }

  recall(kind, id) {
    return this.#of(kind).get(id)
  }

  forget(kind, id) {
    return this.#of(kind).delete(id)
  }

  count(kind) {
    return this.#of(kind).size
  }

  // Whether nothing would be lost with it.
  get isIdle() {
    return this.#subscriptions.size === 0 && [...this.#kept.values()].every((some) => some.size === 0)
  }

  close() {
    for (const id of [...this.#subscriptions.keys()]) this.unsubscribe(id)
    this.#kept.clear()
  }
}

// What a single HTTP request has instead: nothing outlives it.
class NoConnection extends Connection {
  subscribe() {
    throw error(METHOD_NOT_FOUND, 'Subscriptions need a WebSocket')
  }
}

// ---- requests -------------------------------------------------------------------------------

// The answer's JSON; undefined for a notification. Its result is put into `results`.
async function answer(handler, request, connection, log, results = []) {
  if (!isRequest(request)) return JSON.stringify(failure(null, { code: INVALID_REQUEST, message: 'Invalid Request' }))
  const { id } = request
  let reply
  try {
    const result = await handler(request, connection)
    results.push(result)
    reply = JSON.stringify({ jsonrpc: '2.0', id: id ?? null, result: result ?? null })
  } catch (problem) {
    const known = Number.isInteger(problem?.code)
    if (!known)
      log('request failed', { method: request.method.slice(0, 128), error: String(problem?.stack ?? problem) })
    const internal = { code: INTERNAL, message: 'Internal error', data: String(problem?.message ?? problem) }
    reply = JSON.stringify(failure(id ?? null, known ? problem : internal))
  }
  if (id === undefined) return undefined
  return reply.length <= LIMITS.answerBytes ? reply : tooBig(id)
}

const tooBig = (id) =>
  JSON.stringify(
    failure(id, {
      code: ANSWER_TOO_BIG,
      message: 'Response is too big',
      data: `Exceeded max limit of ${LIMITS.answerBytes}`,
    }),
  )

// The JSON that answers a text; undefined when nothing in it wants an answer.
async function answerText(handler, text, connection, log, results = []) {
  let message
  try {
    message = JSON.parse(text)
  } catch {
    return JSON.stringify(failure(null, { code: PARSE_ERROR, message: 'Parse error' }))
  }
  if (!Array.isArray(message)) return answer(handler, message, connection, log, results)
  if (message.length === 0) return JSON.stringify(failure(null, { code: INVALID_REQUEST, message: 'Invalid Request' }))
  if (message.length > LIMITS.batch) {
    const data = `Exceeded max limit of ${LIMITS.batch}`
    return JSON.stringify(failure(null, { code: BATCH_TOO_BIG, message: 'The batch request was too large', data }))
  }
  const answers = []
  let size = 0
  let began = performance.now()
  for (const request of message) {
    if (performance.now() - began > LIMITS.turnMs) {
      await new Promise(setImmediate)
      began = performance.now()
    }
    // one after another, so that a batch holds one answer's memory beyond what it sends
    const reply =
      size > LIMITS.answerBytes ? tooBig(request?.id ?? null) : await answer(handler, request, connection, log, results)
    if (reply === undefined) continue
    size += reply.length
    answers.push(size > LIMITS.answerBytes && reply.length > 1024 ? tooBig(request?.id ?? null) : reply)
  }
  return answers.length === 0 ? undefined : `[${answers.join(',')}]`
}

// `heard` tells what becomes of it: that it said something, and whether it could be spared.
function onSocket(handler, socket, log, heard) {
  const sendText = (text) => {
    if (socket.readyState !== WebSocket.OPEN) return
    socket.send(text)
    if (socket.bufferedAmount > LIMITS.backlogBytes) {
      log('connection closed', { reason: 'it does not read what it is sent' })
      socket.terminate()
    }
  }
  const connection = new Connection((notification) => sendText(JSON.stringify(notification)))
  let waiting = 0
  heard(() => waiting === 0 && connection.isIdle)
  socket.on('message', async (data) => {
    heard(() => waiting === 0 && connection.isIdle)
    if (waiting >= LIMITS.waiting) {
      sendText(
        JSON.stringify(
          failure(null, { code: BUSY, message: `More than ${LIMITS.waiting} requests wait for an answer` }),
        ),
      )
      return
    }
    waiting += 1
    connection.lastHeard = Date.now()
    try {
      const results = []
      const reply = await answerText(handler, data.toString(), connection, log, results)
      if (reply !== undefined) sendText(reply)
      connection.release(results)
    } catch (problem) {
      log('request failed', { error: String(problem?.stack ?? problem) })
      socket.terminate()
    } finally {
      waiting -= 1
    }
  })
  socket.on('error', () => socket.terminate())
  socket.on('close', () => connection.close())
}

// ---- HTTP -----------------------------------------------------------------------------------

async function bodyOf(request) {
  const parts = []
  let size = 0
  for await (const part of request) {
    size += part.length
    if (size > LIMITS.requestBytes) return undefined
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

const isJson = ({ headers }) => /^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')

// Whether the origin is this server itself, as some libraries write it: no page comes from here. Only by address, since a
// name could be anybody's that has it point here.
function isOwn({ headers: { origin, host } }) {
  if (origin !== `http://${host}`) return false
  const { hostname } = new URL(origin)
  return hostname === 'localhost' || isIP(hostname.replace(/^\[|\]$/g, '')) !== 0
}

// A function that says whether a request may come from where it comes: from no web page, or from an allowed one.
function originCheck(allowed) {
  const names = new Set(allowed)
  return (request) => {
    const { origin } = request.headers
    return origin === undefined || names.has(origin) || (URL.canParse(origin) && isOwn(request))
  }
}

function refuse(response, status, message, headers = {}) {
  response.writeHead(status, { 'Content-Type': 'text/plain', ...headers }).end(`${message}\n`)
}

async function onRequest(handler, allowed, request, response, log) {
  const { method, headers } = request
  if (!allowed(request)) {
    return refuse(response, 403, `the origin ${headers.origin} may not ask: allow it with --cors`)
  }
  if (headers.origin !== undefined)
    response.setHeader('Access-Control-Allow-Origin', headers.origin).setHeader('Vary', 'Origin')
  if (method === 'OPTIONS' && headers.origin !== undefined) {
    response
      .setHeader('Access-Control-Allow-Methods', 'POST, GET')
      .setHeader('Access-Control-Allow-Headers', 'Content-Type')
    return response.writeHead(204).end()
  }
  const connection = new NoConnection(() => {})
  const path = request.url.split('?', 1)[0]
  if (method === 'GET' && (path === '/health' || path === '/health/readiness')) {
    const { result } = JSON.parse(await answer(handler, { id: 0, method: 'system_health' }, connection, log))
    return response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(result))
  }
  if (method !== 'POST') return refuse(response, 405, 'JSON-RPC takes POST, or a WebSocket', { Allow: 'POST' })
  if (!isJson(request)) return refuse(response, 415, 'JSON-RPC takes Content-Type: application/json')
  const text = await bodyOf(request)
  if (text === undefined) return refuse(response, 413, `at most ${LIMITS.requestBytes} bytes`, { Connection: 'close' })
  const reply = await answerText(handler, text, connection, log)
  return response.writeHead(200, { 'Content-Type': 'application/json' }).end(reply ?? '')
}

// The connections in the order in which they were last heard. At the bound, one more takes the place of the first that
// waits for nothing; if all wait, it is refused.
class Room {
  #held = new Map() // socket -> whether it could be spared

  enter(socket) {
    if (this.#held.size >= LIMITS.connections) {
      const spared = [...this.#held].find(([, isIdle]) => isIdle())?.[0]
      if (spared) this.#held.delete(spared)
      ;(spared ?? socket).destroy()
      if (!spared) return
    }
    this.heard(socket, () => true)
    socket.on('close', () => this.#held.delete(socket))
  }

  heard(socket, isIdle) {
    this.#held.delete(socket)
    if (!socket.destroyed) this.#held.set(socket, isIdle)
  }
}

// Listen; port 0 takes a free one. `cors` are the origins whose pages may ask. Rejects with the system's error when the
// port cannot be had.
export async function listen(handler, { host, port, cors = [], log = () => {} }) {
  const allowed = originCheck(cors)
  const room = new Room()
  const server = http.createServer(
    { headersTimeout: LIMITS.headersMs, requestTimeout: LIMITS.requestMs },
    (request, response) => {
      room.heard(request.socket, () => response.writableFinished)
      onRequest(handler, allowed, request, response, log).catch((problem) => {
        if (problem?.code !== 'ECONNRESET') log('request failed', { error: String(problem?.stack ?? problem) })
        response.destroy()
      })
    },
  )
  server.on('connection', (socket) => room.enter(socket))
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  server.on('error', (problem) => log('server failed', { error: String(problem?.stack ?? problem) }))
  const sockets = new WebSocketServer({ noServer: true, maxPayload: LIMITS.requestBytes, perMessageDeflate: false })
  sockets.on('connection', (socket, { socket: wire }) =>
    onSocket(handler, socket, log, (isIdle) => room.heard(wire, isIdle)),
  )
  sockets.on('wsClientError', (_, socket) => socket.destroy())
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy())
    if (allowed(request))
      sockets.handleUpgrade(request, socket, head, (opened) => sockets.emit('connection', opened, request))
    else socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
  })
  return {
    port: server.address().port,
    close: () => {
      for (const socket of sockets.clients) socket.terminate()
      server.close()
      server.closeAllConnections()
    },
  }
}
