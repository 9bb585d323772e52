// The chain's storage at every height, in memory: one list of versions per key, so that a read costs the same at
// block ten and at block ten thousand (chopsticks' own layers grow by one per block).

// Child tries live beside the main trie under this prefix, as chopsticks' executor names them:
// ":child_storage:default:".
const CHILD_PREFIX = '0x3a6368696c645f73746f726167653a64656661756c743a'
// A child trie's own part of such a key: the prefix and a 32-byte trie id.
const CHILD_LENGTH = CHILD_PREFIX.length + 64

// The position of the first of `list` that is not below `value`.
function lowerBound(list, value) {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (list[middle] < value) low = middle + 1
    else high = middle
  }
  return low
}

// The first present key behind `after` that starts with `prefix`, in a sorted list.
function nextKey(keys, prefix, after, present) {
  // a key equal to `after` is not behind it; one equal to `prefix` counts only when the walk starts before it
  let at = after < prefix ? lowerBound(keys, prefix) : lowerBound(keys, after)
  if (keys[at] === after) at += 1
  for (; at < keys.length && keys[at].startsWith(prefix); at += 1) if (present(keys[at])) return keys[at]
  return undefined
}

export class VersionedState {
  #versions = new Map() // key -> { heights: [number], values: [hex | null] }
  #keys = [] // every key that was ever set, sorted

  // Record what block `height` changed. Heights only go up.
  commit(height, changes) {
    const fresh = []
    for (const [key, value] of changes) {
      const versions = this.#versions.get(key)
      if (!versions) {
        this.#versions.set(key, { heights: [height], values: [value] })
        fresh.push(key)
      } else if (versions.heights.at(-1) === height) {
        versions.values[versions.values.length - 1] = value
      } else {
        versions.heights.push(height)
        versions.values.push(value)
      }
    }
    if (fresh.length > 64) this.#keys = this.#keys.concat(fresh).sort()
    else for (const key of fresh) this.#keys.splice(lowerBound(this.#keys, key), 0, key)
  }

  // The value of a key after block `height`; null when it has none.
  read(key, height) {
    const versions = this.#versions.get(key)
    if (!versions) return null
    const at = lowerBound(versions.heights, height + 1)
    return at === 0 ? null : versions.values[at - 1]
  }

  // The height of the block that last set `key` at or before `height`; -1 when none did.
  changedAt(key, height) {
    const heights = this.#versions.get(key)?.heights ?? []
    return heights[lowerBound(heights, height + 1) - 1] ?? -1
  }

  at(height) {
    return new StateView(this, height)
  }

  nextKey(prefix, after, height) {
    return nextKey(this.#keys, prefix, after, (key) => this.read(key, height) !== null)
  }
}

// Storage after one block, in the shape of chopsticks' storage layers.
class StateView {
  #state
  #height

  constructor(state, height) {
    this.#state = state
    this.#height = height
  }

  async get(key) {
    return this.#state.read(key, this.#height) ?? undefined
  }

  async getMany(keys) {
    return keys.map((key) => this.#state.read(key, this.#height) ?? undefined)
  }

  deleted(key) {
    return this.#state.read(key, this.#height) === null
  }

  async findNextKey(prefix, after) {
    return this.#state.nextKey(prefix, after, this.#height)
  }

  async getKeysPaged(prefix, size, after) {
    const keys = []
    let last = !after || after === '0x' ? prefix : after
    while (keys.length < size) {
      const key = this.#state.nextKey(prefix, last, this.#height)
      if (key === undefined) break
      keys.push(key)
      last = key
    }
    return keys
  }
}

// What the block in production has changed so far, over the state of its parent.
export class Overlay {
  #state
  #height
  #changes = new Map()
  #keys = []

  constructor(state, height) {
    this.#state = state
    this.#height = height
  }

  get changes() {
    return this.#changes
  }

  // Take the storage diff of a runtime call: pairs of key and value, where null or undefined deletes.
  apply(diff) {
    for (const [key, value] of diff) {
      if (!this.#changes.has(key)) this.#keys.splice(lowerBound(this.#keys, key), 0, key)
      this.#changes.set(key, value ?? null)
    }
  }

  read(key) {
    return this.#changes.has(key) ? this.#changes.get(key) : this.#state.read(key, this.#height)
  }

  // What chopsticks' executor asks for while a runtime call runs.
  handler() {
    const refuse = async () => {
      throw new Error('the development chain runs no offchain workers')
    }
    return {
      getStorage: async (key) => this.read(key) ?? undefined,
      getNextKey: async (prefix, key) => this.#next(prefix, key),
      offchainGetStorage: refuse,
      offchainTimestamp: refuse,
      offchainRandomSeed: refuse,
      offchainSubmitTransaction: refuse,
    }
  }

  #next(prefix, key) {
    const child = key.startsWith(CHILD_PREFIX) && key.length >= CHILD_LENGTH ? key.slice(0, CHILD_LENGTH) : undefined
    const within = child && !prefix.startsWith(child) ? child : prefix
    let after = key
    for (;;) {
      const found = this.#first(within, after)
      if (found === undefined) return undefined
      if (child) return `0x${found.slice(CHILD_LENGTH)}`
      // a walk over the main trie does not see the children's own keys
      if (!found.startsWith(CHILD_PREFIX) || found.length <= CHILD_LENGTH) return found
      after = found
    }
  }

  #first(prefix, after) {
    const changed = nextKey(this.#keys, prefix, after, (key) => this.#changes.get(key) !== null)
    let kept = this.#state.nextKey(prefix, after, this.#height)
    while (kept !== undefined && this.#changes.has(kept)) kept = this.#state.nextKey(prefix, kept, this.#height)
    if (changed === undefined || kept === undefined) return changed ?? kept
    return changed < kept ? changed : kept
  }
}
