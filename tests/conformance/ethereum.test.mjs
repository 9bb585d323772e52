// ethers and viem against the development chain's Ethereum endpoint, or the one at PROOFWARD_ETH (an http:// address;
// WebSocket at the same one).
import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import test, { after, before } from 'node:test'
import { promisify } from 'node:util'
import {
  Contract,
  ContractFactory,
  isError,
  JsonRpcProvider,
  NonceManager,
  parseEther,
  Wallet,
  WebSocketProvider,
} from 'ethers'
import { createPublicClient, createWalletClient, defineChain, http, publicActions, webSocket } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

// Alith and Baltathar: their keys are published, the development preset funds them
const ALITH = '0x5fb92d6e98884f76de468fa3f6278f8807c48bebc13595d45af5bdc4da702133'
const BALTATHAR = '0x8075991ce870b93a8870eca0c0f91913d12f47948ca0fd25b49c6fa7cdbeee8b'
const NOBODY = '0x00000000000000000000000000000000000000000000000000000000000000a1'
// By default ethers answers from its own memory for 250 ms and looks for blocks every 4 s: this chain is quicker.
const OPTIONS = { cacheTimeout: -1, pollingInterval: 250 }
const SOURCE = `
// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;
contract Tally {
    event Added(address indexed who, uint256 indexed amount);
    error TooMuch(uint256 amount);
    uint256 public total;
    constructor(uint256 start) { total = start; }
    function add(uint256 amount) external {
        if (amount > 1000) revert TooMuch(amount);
        require(amount != 13, "unlucky");
        total += amount;
        emit Added(msg.sender, amount);
    }
}`

let url
let chain
let built

function compile() {
  const require = createRequire(new URL('../../contracts/package.json', import.meta.url))
  const outputSelection = { '*': { '*': ['abi', 'evm.bytecode.object'] } }
  const sources = { 'Tally.sol': { content: SOURCE } }
  const made = JSON.parse(
    require('solc').compile(JSON.stringify({ language: 'Solidity', sources, settings: { outputSelection } })),
  )
  const { abi, evm } = made.contracts['Tally.sol'].Tally
  return { abi, bytecode: `0x${evm.bytecode.object}` }
}

before(async () => {
  built = compile()
  url = process.env.PROOFWARD_ETH
  if (url) return
  const program = new URL('../../.venv/bin/python', import.meta.url).pathname
  const run = ['-c', 'from proofward.cli import main; main()', 'devnet', '--port', '0', '--eth-port', '0', '--json']
  chain = spawn(program, run, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await Promise.race([once(createInterface(chain.stdout), 'line'), once(chain, 'exit')])
  assert.equal(typeof line, 'string', 'the chain did not start')
  url = JSON.parse(line).eth_url
})

after(async () => {
  if (!chain) return
  chain.kill('SIGTERM')
  await once(chain, 'exit')
})

// The first value that `start` hands to its callback.
const first = (start) => {
  const found = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('nothing came within 30 s')), 30_000)
    start((value) => {
      clearTimeout(timer)
      resolve(value)
    })
  })
  found.catch(() => {}) // a test that failed before does not wait for it
  return found
}

test('ethers deploys, calls, sends, and reads what happened', async () => {
  const provider = new JsonRpcProvider(url, undefined, OPTIONS)
  try {
    const alith = new Wallet(ALITH, provider)
    assert.ok((await provider.getBalance(alith.address)) > parseEther('1'))
    assert.ok((await provider.getFeeData()).maxFeePerGas > 0n)
    const deployed = await new ContractFactory(built.abi, built.bytecode, alith).deploy(5)
    await deployed.waitForDeployment()
    const tally = new Contract(await deployed.getAddress(), built.abi, alith)
    assert.equal(await tally.total(), 5n)

    const sent = await tally.add(7)
    const receipt = await sent.wait()
    assert.equal(receipt.status, 1)
    assert.equal(await tally.total(), 12n)
    assert.deepEqual([...tally.interface.parseLog(receipt.logs[0]).args], [alith.address, 7n])

    const events = await tally.queryFilter(tally.filters.Added(alith.address), 0)
    assert.deepEqual(
      events.map((one) => one.transactionHash),
      [receipt.hash],
    )
    assert.deepEqual(await tally.queryFilter(tally.filters.Added(null, 8), 0), [])
    const block = await provider.getBlock(receipt.blockNumber, true)
    assert.equal(block.hash, receipt.blockHash)
    assert.equal(block.prefetchedTransactions[receipt.index].hash, receipt.hash)
    assert.equal((await provider.getTransaction(receipt.hash)).from, alith.address)
    assert.equal(await provider.getTransaction(`0x${'ab'.repeat(32)}`), null)
    assert.equal(
      (await provider.send('eth_getBlockReceipts', [receipt.blockHash]))[receipt.index].transactionHash,
      receipt.hash,
    )
    const byIndex = await provider.send('eth_getTransactionByBlockHashAndIndex', [receipt.blockHash, '0x0'])
    assert.equal(byIndex.blockHash, receipt.blockHash)
  } finally {
    provider.destroy()
  }
})

test('ethers tells the causes of a refusal apart', async () => {
  const provider = new JsonRpcProvider(url, undefined, OPTIONS)
  try {
    const alith = new Wallet(ALITH, provider)
    const deployed = await new ContractFactory(built.abi, built.bytecode, alith).deploy(0)
    await deployed.waitForDeployment()
    const tally = new Contract(await deployed.getAddress(), built.abi, alith)
    await assert.rejects(
      tally.add.staticCall(13),
      (error) => isError(error, 'CALL_EXCEPTION') && error.reason === 'unlucky',
    )
    await assert.rejects(
      tally.add(1001),
      (error) => isError(error, 'CALL_EXCEPTION') && tally.interface.parseError(error.data).name === 'TooMuch',
    )
    const gas = { gasLimit: 10n ** 6n }
    const to = alith.address
    await assert.rejects(new Wallet(NOBODY, provider).sendTransaction({ to, value: 1, ...gas }), (error) =>
      isError(error, 'INSUFFICIENT_FUNDS'),
    )
    await assert.rejects(alith.sendTransaction({ to, value: 1, nonce: 0, ...gas }), (error) =>
      isError(error, 'NONCE_EXPIRED'),
    )
    const foreign = await alith.signTransaction({
      to,
      value: 1,
      type: 0,
      chainId: 1,
      nonce: 0,
      gasPrice: 10n ** 9n,
      ...gas,
    })
    await assert.rejects(
      provider.send('eth_sendRawTransaction', [foreign]),
      /invalid chain id for signer: signed for chain 1/,
    )
    const nonce = await provider.getTransactionCount(alith.address)
    const cheap = await alith.signTransaction({
      to,
      value: 1,
      type: 0,
      chainId: 0x50570001,
      nonce,
      gasPrice: 1,
      ...gas,
    })
    await assert.rejects(provider.send('eth_sendRawTransaction', [cheap]), /max fee per gas less than block base fee/)
    await assert.rejects(provider.send('eth_getProof', [to, [], 'latest']), /not served: the state is no Ethereum trie/)
    await assert.rejects(provider.send('eth_createAccessList', [{ to }]), /not served/)
    await assert.rejects(provider.send('eth_getBalance', [null]), /parameter 1 of eth_getBalance is missing/)
  } finally {
    provider.destroy()
  }
})

test('ethers sends several transactions at once and hears of events', async () => {
  // not destroyed: a request of its poller's would be cancelled, and ethers leaves that error to nobody
  const provider = new JsonRpcProvider(url, undefined, { ...OPTIONS, polling: true })
  const wallet = new NonceManager(new Wallet(BALTATHAR, provider))
  const deployed = await new ContractFactory(built.abi, built.bytecode, wallet).deploy(0)
  await deployed.waitForDeployment()
  const tally = new Contract(await deployed.getAddress(), built.abi, wallet)
  const heard = first((done) => tally.on('Added', (_who, amount) => done(amount)))
  await provider.getBlockNumber()
  const sent = await Promise.all([1, 2, 3].map((amount) => tally.add(amount)))
  const receipts = await Promise.all(sent.map((one) => one.wait()))
  assert.ok(receipts.every((one) => one.status === 1))
  assert.equal(await tally.total(), 6n)
  assert.ok([1n, 2n, 3n].includes(await heard))
  await tally.removeAllListeners()
})

test('ethers follows blocks and events over a WebSocket', async () => {
  const provider = new WebSocketProvider(url.replace('http', 'ws'), undefined, OPTIONS)
  try {
    const alith = new Wallet(ALITH, provider)
    assert.equal(typeof (await first((done) => provider.on('block', done))), 'number')
    const deployed = await new ContractFactory(built.abi, built.bytecode, alith).deploy(0)
    await deployed.waitForDeployment()
    const tally = new Contract(await deployed.getAddress(), built.abi, alith)
    const heard = first((done) => tally.on('Added', (_who, amount) => done(amount)))
    await provider.send('eth_chainId', []) // the subscription stands before this is answered
    await (await tally.add(9)).wait()
    assert.equal(await heard, 9n)
    await tally.removeAllListeners()
  } finally {
    await provider.destroy()
  }
})

const definition = () =>
  defineChain({
    id: 0x50570001,
    name: 'development',
    nativeCurrency: { name: 'Unit', symbol: 'UNIT', decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  })

test('viem deploys, simulates, writes, watches and reads logs', async () => {
  const wallet = createWalletClient({
    account: privateKeyToAccount(ALITH),
    chain: definition(),
    transport: http(url, { batch: true }),
    pollingInterval: 250,
  }).extend(publicActions)
  const hash = await wallet.deployContract({ ...built, args: [1n] })
  const { contractAddress: address, status } = await wallet.waitForTransactionReceipt({ hash })
  assert.equal(status, 'success')
  const tally = { abi: built.abi, address }
  await assert.rejects(wallet.simulateContract({ ...tally, functionName: 'add', args: [2000n] }), /TooMuch/)
  await assert.rejects(wallet.simulateContract({ ...tally, functionName: 'add', args: [13n] }), /unlucky/)

  let unwatch
  const watched = first((done) => {
    unwatch = wallet.watchContractEvent({
      ...tally,
      eventName: 'Added',
      onLogs: ([log]) => done(log.args.amount),
      onError: done,
    })
  })
  const { request } = await wallet.simulateContract({ ...tally, functionName: 'add', args: [4n] })
  const receipt = await wallet.waitForTransactionReceipt({ hash: await wallet.writeContract(request) })
  assert.equal(await wallet.readContract({ ...tally, functionName: 'total' }), 5n)
  assert.equal(await watched, 4n)
  unwatch()

  const logs = await wallet.getContractEvents({ ...tally, eventName: 'Added', fromBlock: 0n })
  assert.deepEqual(
    logs.map((one) => one.transactionHash),
    [receipt.transactionHash],
  )
  const block = await wallet.getBlock({ blockHash: receipt.blockHash, includeTransactions: true })
  assert.equal(block.transactions[receipt.transactionIndex].hash, receipt.transactionHash)
  assert.equal(await wallet.getBlockTransactionCount({ blockHash: receipt.blockHash }), block.transactions.length)
  const filter = await wallet.createBlockFilter()
  await first((done) => {
    const look = async () => ((await wallet.getFilterChanges({ filter })).length ? done() : setTimeout(look, 250))
    look()
  })
  assert.equal(await wallet.uninstallFilter({ filter }), true)
  await assert.rejects(wallet.getFilterChanges({ filter }), /filter not found/)
})

test('viem follows blocks over a WebSocket', async () => {
  const client = createPublicClient({ chain: definition(), transport: webSocket(url.replace('http', 'ws')) })
  let unwatch
  const number = await first((done) => {
    unwatch = client.watchBlockNumber({ onBlockNumber: done, onError: done })
  })
  assert.equal(typeof number, 'bigint')
  unwatch()
  ;(await client.transport.getRpcClient()).close()
})

const CAST = { skip: spawnSync('cast', ['--version']).status !== 0 && 'cast is not on the PATH' }

test('cast sends, deploys, calls, and reads logs and reasons', CAST, async () => {
  const cast = async (...words) => {
    const env = { ...process.env, ETH_RPC_URL: url }
    const { stdout, stderr } = await promisify(execFile)('cast', words, { env })
    if (stdout === '') throw new Error(stderr) // npm's wrapper of it forgets the exit code
    return stdout.trim()
  }
  const send = async (...words) => JSON.parse(await cast('send', '--private-key', ALITH, ...words, '--json'))
  const receiver = `0x${'a1'.repeat(20)}`
  assert.equal(await cast('chain-id'), String(0x50570001))
  const before = BigInt(await cast('balance', receiver))
  assert.equal((await send(receiver, '--value', '1ether')).status, '0x1')
  assert.equal(BigInt(await cast('balance', receiver)) - before, parseEther('1'))
  const { contractAddress } = await send('--create', `${built.bytecode}${'7'.padStart(64, '0')}`)
  await send(contractAddress, 'add(uint256)', '5')
  assert.equal(await cast('call', contractAddress, 'total()(uint256)'), '12')
  const added = 'Added(address indexed,uint256 indexed)'
  const logs = JSON.parse(await cast('logs', '--json', '--from-block', '0', '--address', contractAddress, added))
  assert.deepEqual(
    logs.map(({ topics }) => BigInt(topics[2])),
    [5n],
  )
  await assert.rejects(cast('call', contractAddress, 'add(uint256)', '13'), /execution reverted: unlucky/)
  await assert.rejects(send(contractAddress, 'add(uint256)', '13'), /execution reverted: unlucky/)
})
