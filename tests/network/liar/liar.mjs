// Peers that pass on what a light client and honest nodes say to each other, and change the nodes' answers.
//
//   node liar.mjs LIE GENESIS ADDRESS...
//
// LIE is one of `nothing` (the control), `justification` (a bit of a signature under the final header), `storage` (a
// bit of a storage proof); GENESIS is the genesis hash in hexadecimal, and each ADDRESS an honest node's multiaddress
// with its peer id. Prints the address of the peer before each node, a line each, then a line for each answer changed.

import './mended.mjs'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { peerIdFromString } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const [lie, genesis, ...addresses] = process.argv.slice(2)
const named = (names) => names.map((name) => `/${genesis}/${name}`)
const LIES = { nothing: [], justification: ['sync/warp', 'sync/2'], storage: ['light/2'] }
const changed = new Set(named(LIES[lie]))
const PROTOCOLS = named(['sync/warp', 'light/2', 'sync/2', 'state/2', 'block-announces/1', 'grandpa/1'])

/** The bytes of a stream as they come. */
async function* bytes(stream) {
  for await (const part of stream.source) yield part.subarray()
}

/** A whole answer in which one bit is another. Its length stands. */
async function* altered(stream) {
  const parts = []
  for await (const part of bytes(stream)) parts.push(part)
  const answer = Buffer.concat(parts)
  if (answer.length > 200) {
    answer[answer.length - 50] ^= 1
    console.log(`changed ${stream.protocol}`)
  }
  yield answer
}

/** The same parts; calls `then` when the first was taken and the next one is asked for. */
async function* told(parts, then) {
  for await (const part of parts) {
    yield part
    then()
  }
}

/** A peer before one honest node. */
async function before(address) {
  const honest = multiaddr(address)
  const node = peerIdFromString(honest.getPeerId())
  const peer = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  })
  let client
  let greet
  const greeted = new Promise((resolve) => {
    greet = resolve
  })

  /** A stream of the light client goes on to the node, and one of the node, which notifies on its own, to the client. */
  async function pass({ stream, connection }) {
    try {
      const ofNode = connection.remotePeer.equals(node)
      if (!ofNode) client = connection.remotePeer
      // The node speaks of GRANDPA with those only who have answered its greeting.
      if (!ofNode && stream.protocol.endsWith('/grandpa/1')) await greeted
      const behind = await peer.dialProtocol(ofNode ? client : honest, stream.protocol)
      const answer = changed.has(stream.protocol) ? altered(behind) : bytes(behind)
      await Promise.all([behind.sink(bytes(stream)), stream.sink(ofNode ? told(answer, greet) : answer)])
    } catch (error) {
      stream.abort(error)
    }
  }

  for (const protocol of PROTOCOLS) await peer.handle(protocol, pass, { maxInboundStreams: 64 })
  return peer.getMultiaddrs()[0].toString()
}

for (const address of addresses) console.log(await before(address))
