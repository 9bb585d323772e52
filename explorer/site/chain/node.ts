// A node of the reader's choice, asked by JSON-RPC over a WebSocket. What it says is its word.
import { type Check, said } from '../verify/check.js'
import { Chain, type Head } from './chain.js'
import { NodeError, Wire } from './wire.js'

const PATIENCE = 20_000

export class Node extends Chain {
  readonly name: string
  readonly witness: string
  readonly believed = 'the node is believed'
  readonly proved = false
  genesis = ''
  private readonly head: Promise<string>
  private readonly wire: Wire
  private readonly newest: Promise<void>

  private constructor(
    readonly url: string,
    private readonly socket: WebSocket,
  ) {
    super()
    this.name = `the node at ${url}`
    this.witness = `the word of ${this.name}, without proof`
    this.wire = new Wire(this.name, PATIENCE, (request) => {
      if (socket.readyState !== WebSocket.OPEN) throw new NodeError('closed')
      socket.send(request)
    })
    socket.addEventListener('message', (event) => this.wire.hear(String(event.data)) || socket.close())
    socket.addEventListener('close', () => this.wire.lose())
    // What every page needs, at once; whoever waits for it hears of a fault.
    this.head = this.rpc('chain_getFinalizedHead').then(String)
    this.head.catch(() => {})
    this.newest = this.rpc('state_getMetadata').then((data) => void this.keep(data))
    this.newest.catch(() => {})
  }

  static async connect(url: string): Promise<Node> {
    const socket = new WebSocket(url)
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new NodeError(`the node at ${url} does not answer`)), PATIENCE)
      socket.addEventListener('open', () => {
        clearTimeout(timer)
        resolve()
      })
      socket.addEventListener('error', () => {
        clearTimeout(timer)
        reject(new NodeError(`the node at ${url} cannot be reached; does it allow this page's origin?`))
      })
    })
    const node = new Node(url, socket)
    node.genesis = String(await node.rpc('chain_getBlockHash', 0))
    return node
  }

  release(): void {
    this.socket.close()
  }

  async reading(): Promise<Check> {
    return said('reading', `${this.witness}; a light client, chosen at the foot of this page, has it proved`)
  }

  rpc(method: string, ...params: unknown[]): Promise<unknown> {
    return this.wire.call(method, params)
  }

  async blockHash(number: number): Promise<string> {
    const found = await this.rpc('chain_getBlockHash', number)
    if (typeof found !== 'string') throw new NodeError(`${this.name} has no block ${number}`)
    return found
  }

  /** Once the newest runtime is known too, which the head most likely is of. */
  async headHash(): Promise<string> {
    const [hash] = await Promise.all([this.head, this.newest])
    return hash
  }

  async finalised(): Promise<Head> {
    const hash = await this.headHash()
    const header = (await this.rpc('chain_getHeader', hash)) as { number: string }
    return { hash, number: Number(header.number) }
  }

  protected async version(at: string): Promise<number> {
    return ((await this.rpc('state_getRuntimeVersion', at)) as { specVersion: number }).specVersion
  }
}
