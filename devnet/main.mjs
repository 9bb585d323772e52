// node main.mjs --spec FILE [--host H] [--port N] [--data DIR] [--block-time MS] [--steady] [--cors ORIGIN]... [--follow-stdin]
//   [--verbose]
// Without --data the chain ends with the process, and has a genesis of its own. Prints one JSON line on standard output
// when it serves, or when it ends by itself, and logs JSON lines on standard error.
import { parseArgs } from 'node:util'
import { cryptoWaitReady } from '@polkadot/util-crypto'
import { DevChain } from './chain.mjs'
import { distinct, readSpec, SpecError } from './genesis.mjs'
import { LedgerError } from './ledger.mjs'
import { rpcHandler } from './rpc/index.mjs'
import { listen } from './server.mjs'

class UsageError extends Error {}

// As browsers write it in the header Origin.
function isOrigin(text) {
  try {
    return new URL(text).origin === text
  } catch {
    return false
  }
}

function options() {
  const { values } = parseArgs({
    options: {
      spec: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '9944' },
      data: { type: 'string' },
      'block-time': { type: 'string', default: '1000' },
      steady: { type: 'boolean', default: false },
      cors: { type: 'string', multiple: true, default: [] },
      'follow-stdin': { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  })
  const [port, blockTime] = [Number(values.port), Number(values['block-time'])]
  if (!values.spec) throw new UsageError('--spec FILE is missing')
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new UsageError(`--port ${values.port} is no port`)
  if (!Number.isInteger(blockTime) || blockTime < 50) throw new UsageError('--block-time takes 50 ms or more')
  for (const origin of values.cors)
    if (!isOrigin(origin)) throw new UsageError(`--cors ${origin} is no origin such as https://example.org`)
  return { ...values, port, blockTime, followStdin: values['follow-stdin'] }
}

// On standard output for who waits for the ready line, on standard error for who has read it.
function refuse(code, message) {
  const line = `${JSON.stringify({ event: 'error', code, message })}\n`
  process.stderr.write(line)
  process.stdout.write(line, () => process.exit(1))
}

function codeOf(error) {
  if (error instanceof UsageError || error?.code?.startsWith?.('ERR_PARSE_ARGS')) return 'usage'
  if (error instanceof SpecError) return 'bad-spec'
  if (error?.code === 'EADDRINUSE') return 'port-in-use'
  if (error?.syscall === 'listen') return 'cannot-listen'
  if (error instanceof LedgerError || error?.syscall) return 'data-unusable'
  return 'failed'
}

async function main() {
  const { spec: path, host, port, data, blockTime, steady, cors, followStdin, verbose } = options()
  const log = (event, fields) => {
    if (verbose || event !== 'runtime') process.stderr.write(`${JSON.stringify({ event, ...fields })}\n`)
  }
  // whoever read this may have gone; the chain goes on
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  // a fault in one request's handling must not end the chain for all
  for (const event of ['unhandledRejection', 'uncaughtException']) {
    process.on(event, (error) => log(event, { error: String(error?.stack ?? error) }))
  }
  await cryptoWaitReady()
  const spec = data === undefined ? distinct(readSpec(path)) : readSpec(path)
  const chain = await DevChain.open(spec, { directory: data, blockTime, steady, log })
  if (verbose) chain.runtimeLogLevel = 3
  let server
  const stop = async () => {
    server?.close()
    await chain.close()
    process.exit(0)
  }
  try {
    if (chain.head.number === 0) await chain.newBlock()
    server = await listen(rpcHandler({ chain, log }), { host, port, cors, log })
  } catch (error) {
    await chain.close()
    throw error
  }
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop)
  if (followStdin) process.stdin.on('close', stop).on('end', stop).resume()
  const { specName, specVersion } = chain.version(chain.head)
  const ready = {
    event: 'ready',
    url: `ws://${host}:${server.port}`,
    genesis: chain.genesis.hash,
    spec: specName,
    version: specVersion,
    block: chain.head.number,
  }
  process.stdout.write(`${JSON.stringify(ready)}\n`)
  await chain.produce()
}

main().catch((error) => {
  const code = codeOf(error)
  refuse(code, code === 'failed' ? String(error?.stack ?? error) : error.message)
})
