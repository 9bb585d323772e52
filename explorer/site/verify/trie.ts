// Values out of a storage proof: nodes of the state's trie, each found by its hash (Polkadot's host specification,
// section 2.4.3, state version 1), as proofward/consensus/trie.py does.
import { hex, Reader } from './bytes.js'
import { blake2 } from './hashes.js'

const MAX_NODES = 4096
const MAX_NIBBLES = 1024
const MAX_NODE = 4 << 20

interface Node {
  readonly partial: readonly number[]
  readonly value: Uint8Array | null
  readonly hashed: boolean
  readonly children: ReadonlyMap<number, Uint8Array>
}

export class StorageProof {
  private readonly nodes = new Map<string, Uint8Array>()

  constructor(
    private readonly root: Uint8Array,
    nodes: readonly Uint8Array[],
  ) {
    if (nodes.length > MAX_NODES) throw new Error('a storage proof is above its bounds')
    for (const node of nodes) this.nodes.set(hex(blake2(node)), node)
  }

  /** What is stored under a key (hex); null when the proof shows that nothing is. Throws when it shows neither. */
  value(key: string): Uint8Array | null {
    let wanted = Array.from(key, (digit) => Number.parseInt(digit, 16))
    let node = decode(this.named(this.root))
    for (;;) {
      if (!node.partial.every((nibble, i) => wanted[i] === nibble)) return null
      wanted = wanted.slice(node.partial.length)
      const [next] = wanted
      if (next === undefined) return node.value && node.hashed ? this.named(node.value) : node.value
      const child = node.children.get(next)
      if (!child) return null
      node = decode(child.length === 32 ? this.named(child) : child)
      wanted = wanted.slice(1)
    }
  }

  private named(name: Uint8Array): Uint8Array {
    const node = this.nodes.get(hex(name))
    if (!node) throw new Error('a storage proof lacks a node on the way')
    return node
  }
}

function decode(data: Uint8Array): Node {
  const reader = new Reader(data)
  const node = read(reader)
  if (reader.left) throw new Error('bytes are left behind a node of a storage proof')
  return node
}

function read(reader: Reader): Node {
  const first = reader.unsigned(1)
  if (first === 0) return { partial: [], value: null, hashed: false, children: new Map() }
  const [branch, hashed, bits] = kindOf(first)
  const partial = partialOf(reader, lengthOf(reader, first, bits))
  const value = (): Uint8Array => (hashed ? reader.take(32) : blob(reader))
  if (!branch) return { partial, value: value(), hashed, children: new Map() }
  const bitmap = reader.unsigned(2)
  if (!bitmap) throw new Error('a branch has no child')
  const own = hashed || first >> 6 === 3 ? value() : null
  const children = new Map<number, Uint8Array>()
  for (let nibble = 0; nibble < 16; nibble++) {
    if (!((bitmap >> nibble) & 1)) continue
    const child = blob(reader)
    if (child.length > 32) throw new Error('a child is longer than a hash')
    children.set(nibble, child)
  }
  return { partial, value: own, hashed, children }
}

/** Whether it is a branch, whether its value is a hash, and how many bits of the first byte say so. */
function kindOf(first: number): [boolean, boolean, number] {
  if (first >> 6) return [first >> 6 !== 1, false, 2]
  if (first >> 5 === 1) return [false, true, 3]
  if (first >> 4 === 1) return [true, true, 4]
  throw new Error('a node is of no known kind')
}

function lengthOf(reader: Reader, first: number, bits: number): number {
  const most = 255 >> bits
  let length = first & most
  if (length < most) return length
  for (;;) {
    const more = reader.unsigned(1)
    length += more
    if (more < 255) return length
    if (length > MAX_NIBBLES) throw new Error('a partial key is too long')
  }
}

function partialOf(reader: Reader, count: number): number[] {
  const nibbles = Array.from(reader.take((count + 1) >> 1)).flatMap((byte) => [byte >> 4, byte & 15])
  if (count % 2 && nibbles[0]) throw new Error('a partial key is not padded with zero')
  return nibbles.slice(count % 2)
}

const blob = (reader: Reader): Uint8Array => reader.take(reader.count(MAX_NODE))
