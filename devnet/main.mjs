// node main.mjs --spec FILE [--host H] [--port N] [--data DIR] [--block-time MS] [--follow-stdin] [--verbose]
// Prints one JSON line on standard output when it serves, or when it ends by itself, and logs JSON lines on standard
// error.
process.env.LOG_LEVEL ??= 'fatal' // chopsticks' own log goes to standard output
const { parseArgs } = await import('node:util')
const { cryptoWaitReady } = await import('@polkadot/util-crypto')
const { DevChain } = await import('./chain.mjs')
const { SpecError, readSpec } = await import('./genesis.mjs')
const { LedgerError } = await import('./ledger.mjs')
const { rpcHandler } = await import('./rpc.mjs')
const { listen } = await import('./server.mjs')

class UsageError extends Error {}

function options() {
  const { values } = parseArgs({
    options: {
      spec: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: '9944' },
      data: { type: 'string' },
      'block-time': { type: 'string', default: '1000' },
      'follow-stdin': { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  })
  const [port, blockTime] = [Number(values.port), Number(values['block-time'])]
  if (!values.spec) throw new UsageError('--spec FILE is missing')
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new UsageError(`--port ${values.port} is no port`)
  if (!Number.isInteger(blockTime) || blockTime < 50) throw new UsageError('--block-time takes 50 ms or more')
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
  if (error instanceof LedgerError) return 'data-unusable'
  if (error?.code === 'EADDRINUSE') return 'port-in-use'
  return 'failed'
}

async function main() {
  const { spec: path, host, port, data, blockTime, followStdin, verbose } = options()
  const log = (event, fields) => {
    if (verbose || event !== 'runtime') process.stderr.write(`${JSON.stringify({ event, ...fields })}\n`)
  }
  await cryptoWaitReady()
  const spec = readSpec(path)
  const chain = await DevChain.open(spec, { directory: data, blockTime, log })
  if (verbose) chain.runtimeLogLevel = 3
  let server
  const stop = async () => {
    server?.close()
    await chain.close()
    process.exit(0)
  }
  try {
    if (chain.head.number === 0) await chain.newBlock()
    server = await listen(rpcHandler({ chain }), { host, port })
  } catch (error) {
    await chain.close()
    throw error
  }
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop)
  if (followStdin) process.stdin.on('close', stop).on('end', stop).resume()
  const { specName, specVersion } = await chain.head.runtimeVersion
  const ready = {
    event: 'ready',
    url: `ws://${host}:${server.port}`,
    genesis: (await chain.getBlockAt(0)).hash,
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
