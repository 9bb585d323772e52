// A light client in this tab: peers prove every answer, from the chain's spec on. Nobody's word is taken.
//
// As proofward/light has it. What peers can do is hold back newer blocks: the head's own time tells.
import type { FromWorker } from '../light-worker.js'
import { concat, hex0x, little, Reader, unhex, utf8 } from '../verify/bytes.js'
import { type Check, check } from '../verify/check.js'
import { Chain, type Head } from './chain.js'
import { believed, type Spec } from './spec.js'
import { twox } from './twox.js'
import { bytesOf, numberOf, readValue } from './values.js'
import { NodeError, Wire } from './wire.js'

export { readSpec, SERVED } from './spec.js'

const PATIENCE = 40_000
const START_MS = 60_000
const SETTLE_MS = 15_000
/** Age of the finalised head up to which nobody is suspected of holding back newer blocks. */
const FRESH_MS = 60_000
const ATTEMPTS = 4
const PAUSE_MS = 300
const MAX_LEAPS = 20_000
const ALL = 0xffff_ffff
/** The version of a state in which no block was made yet. */
const BEFORE_ANY = -1

const itemKey = (pallet: string, item: string): string => hex0x(concat(twox(utf8(pallet), 2), twox(utf8(item), 2)))
const NOW = itemKey('Timestamp', 'Now')
const LAST_UPGRADE = itemKey('System', 'LastRuntimeUpgrade')

interface Followed {
  readonly event?: string
  readonly finalizedBlockHashes?: readonly string[]
  readonly prunedBlockHashes?: readonly string[]
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

export class Light extends Chain {
  readonly name: string
  readonly proved = true
  genesis = ''
  /** Milliseconds from its start to the first finalised head that was proved. */
  started = 0
  private readonly wire: Wire
  private readonly hashes = new Map<number, string>()
  private pinned: Head = { hash: '', number: 0 }
  private newest = ''
  private subscription = ''
  private stopped = true
  private ended: string | null = null
  private ready: () => void = () => {}
  private refused: (why: Error) => void = () => {}

  private constructor(
    private readonly spec: Spec,
    private readonly worker: Worker,
  ) {
    super()
    this.name = `the light client of ${spec.name}`
    this.wire = new Wire(
      this.name,
      PATIENCE,
      (request) => {
        if (this.ended !== null) throw new NodeError(this.ended)
        worker.postMessage(request)
      },
      (what) => this.follow(what as Followed),
    )
    worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) => {
      if (data.kind === 'message') this.wire.hear(data.text)
      else if (data.kind === 'ready') this.ready()
      else this.end(data.kind === 'refused' ? `it refuses the chain's spec: ${data.reason}` : data.reason)
    })
    worker.addEventListener('error', () => this.end('its script cannot be loaded, or ended with a fault'))
  }

  /** Start one, and wait for a finalised block that peers prove. `file` is the script of the worker. */
  static async start(spec: Spec, file: string): Promise<Light> {
    const worker = new Worker(file, { type: 'module' })
    const light = new Light(spec, worker)
    const began = performance.now()
    try {
      await new Promise<void>((ready, refused) => {
        light.ready = ready
        light.refused = refused
        worker.postMessage(spec.text)
      })
      light.genesis = String(await light.ask('chain_getBlockHash', 0))
      await light.proveHead(began)
      light.started = performance.now() - began
      await light.settle()
      await light.agree()
      return light
    } catch (error) {
      light.close()
      throw error
    }
  }

  get alive(): boolean {
    return this.ended === null
  }

  get witness(): string {
    return `proved under finalised block ${this.pinned.number} by ${this.name} in this tab`
  }

  get believed(): string {
    return believed(this.spec.origin)
  }

  /** It goes on, for the next page. */
  release(): void {}

  close(): void {
    this.end('this light client was closed')
    this.worker.terminate()
  }

  private end(why: string): void {
    this.ended ??= `${this.name} has ended: ${why}`
    this.refused(new NodeError(this.ended))
    this.wire.lose(this.ended)
  }

  private ask(method: string, ...params: unknown[]): Promise<unknown> {
    return this.wire.call(method, params)
  }

  /** Peers may have pruned a state that others have: asked again, a few times. */
  async rpc(method: string, ...params: unknown[]): Promise<unknown> {
    if (method === 'state_getKeysPaged') return this.keysPaged(...(params as [string, number, string, string]))
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.ask(method, ...params)
      } catch (error) {
        if (attempt === ATTEMPTS || !this.alive) throw error
        await pause(PAUSE_MS)
      }
    }
  }

  /** In order, as a node gives them: smoldot proves all of a prefix, and pages it unsorted. */
  private async keysPaged(prefix: string, count: number, start: string, at: string): Promise<string[]> {
    const found = (await this.ask('state_getKeysPaged', prefix, ALL, null, at)) as string[]
    return found
      .sort()
      .filter((one) => one > start)
      .slice(0, count)
  }

  private follow(event: Followed): void {
    const final = event.finalizedBlockHashes
    if ((event.event === 'initialized' || event.event === 'finalized') && final?.length) {
      const done = [...final.slice(0, -1), ...(event.prunedBlockHashes ?? [])]
      if (event.event === 'finalized') done.push(this.newest)
      this.newest = String(final.at(-1))
      if (done.length) this.ask('chainHead_v1_unpin', this.subscription, done).catch(() => {})
    }
    if (event.event === 'stop') this.stopped = true
  }

  private async proveHead(began: number): Promise<void> {
    while (this.stopped || !this.newest || this.newest === this.genesis) {
      if (performance.now() - began > START_MS) {
        throw new NodeError(
          `no peer proved a finalised block of ${this.spec.name} in ${START_MS / 1000} s: the boot nodes are away, are of a chain with another genesis, or do not finalise`,
        )
      }
      if (this.ended !== null) throw new NodeError(this.ended)
      if (this.stopped) {
        this.stopped = false
        this.subscription = String(await this.ask('chainHead_v1_follow', false))
      } else await pause(20)
    }
  }

  /** The newest finalised head, once it is fresh or no more can be waited: all reads are of it. */
  private async settle(): Promise<void> {
    const until = performance.now() + SETTLE_MS
    for (;;) {
      const hash = this.newest
      const header = (await this.rpc('chain_getHeader', hash)) as { number: string }
      this.pinned = { hash, number: Number(header.number) }
      this.hashes.set(this.pinned.number, hash)
      if (Math.abs(await this.age()) <= FRESH_MS || performance.now() > until) return
      await pause(200)
    }
  }

  /** Milliseconds by this machine's clock since the head was made. */
  async age(): Promise<number> {
    const found = await this.rpc('state_getStorage', NOW, this.pinned.hash)
    if (typeof found !== 'string') throw new NodeError(`the state of block ${this.pinned.number} has no time`)
    return Date.now() - Number(new Reader(unhex(found.slice(2))).long())
  }

  /** The fork that the giver of the spec vouches for. */
  private async agree(): Promise<void> {
    const point = this.spec.checkpoint
    if (!point) return
    if (point.number > this.pinned.number)
      throw new NodeError(
        `peers prove blocks up to ${this.pinned.number} only, the spec's checkpoint is block ${point.number}: they hold back what is newer, or are of another fork`,
      )
    const found = await this.blockHash(point.number)
    if (found !== point.hash)
      throw new NodeError(
        `block ${point.number} of the chain that peers show is ${found}, and the spec's checkpoint says ${point.hash}: it is another fork`,
      )
  }

  /** The newest head that is proved from now on; what was read under an earlier one stays as it was. */
  async refresh(): Promise<void> {
    if (this.stopped) await this.proveHead(performance.now())
    await this.settle()
  }

  async headHash(): Promise<string> {
    return this.pinned.hash
  }

  async finalised(): Promise<Head> {
    return this.pinned
  }

  /** By leaps from the head: a proved state has the hashes of the blocks before it. */
  async blockHash(number: number): Promise<string> {
    if (number === 0) return this.genesis
    const known = this.hashes.get(number)
    if (known) return known
    if (number > this.pinned.number)
      throw new NodeError(`block ${number} is not finalised: the chain is at ${this.pinned.number}`)
    const metadata = await this.metadata(this.pinned.hash)
    const constant = metadata.constants.get('System.BlockHashCount')
    if (!constant) throw new NodeError('the runtime does not say how many hashes of blocks it keeps')
    const reach = numberOf(readValue(metadata, constant.type, new Reader(constant.value)))
    let at = Math.min(...[...this.hashes.keys()].filter((one) => one > number))
    for (let leaps = 0; leaps < MAX_LEAPS; leaps++) {
      const step = Math.max(number, at - reach + 1)
      const found = hex0x(
        bytesOf(await this.query(this.hashes.get(at) as string, 'System.BlockHash', [little(step, 4)])),
      )
      if (/^0x0*$/.test(found)) throw new NodeError(`the state of block ${at} has no hash of block ${step}`)
      this.hashes.set(step, found)
      if (step === number) return found
      at = step
    }
    throw new NodeError(`block ${number} is too far behind the head: take a spec with a newer checkpoint`)
  }

  /** By a proof of one small item: a runtime's code is two megabytes. */
  protected async version(at: string): Promise<number> {
    const found = await this.rpc('state_getStorage', LAST_UPGRADE, at)
    return typeof found === 'string' ? new Reader(unhex(found.slice(2))).compact() : BEFORE_ANY
  }

  /** How the chain was read, as `proofward verify --light` says it. */
  async reading(): Promise<Check> {
    const age = await this.age()
    const anchor = this.spec.checkpoint ? `, through its checkpoint ${this.spec.checkpoint.number}` : ''
    const told = `by proofs from genesis ${this.genesis}${anchor} to finalised block ${this.pinned.number}, ${Math.round(age / 1000)} s old`
    const inputs = { spec: this.spec.origin, 'SHA-256 of the spec': this.spec.digest, head: this.pinned.hash }
    return Math.abs(age) <= FRESH_MS
      ? check('reading', true, `light client, ${told}; ${this.believed}`, inputs)
      : check(
          'reading',
          null,
          `light client, ${told}: peers may hold back newer blocks, or this machine's clock is wrong`,
          inputs,
        )
  }
}
