// The chain's storage at every height, in memory: one list of versions per key, so that a read costs the same at
// block ten and at block ten thousand (chopsticks' own layers grow by one per block).

// Child tries live beside the main trie under this prefix, as chopsticks' executor names them:
// ":child_storage:default:".
export const CHILD_PREFIX = '0x3a6368696c645f73746f726167653a64656661756c743a'
// What is behind all of them.
const BEHIND_CHILDREN = '0x3a6368696c645f73746f726167653a64656661756c743b'
// Hexadecimal digits of a child trie's id, in pallet-revive.
const CHILD_ID = 64

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
  #keys = [] // of them, sorted
  #horizon
  #height = 0
  #start = 0
  #changed = new Map() // height -> keys, of the last blocks

  // Of older blocks than `horizon` behind the last one the state is forgotten.
  constructor(horizon = Infinity) {
    this.#horizon = horizon
  }

  // The first block whose state is known.
  get oldest() {
    return Math.max(this.#start, this.#height - this.#horizon)
  }

  // Begin at block `height` with all entries of its state.
  restore(height, entries) {
    this.#versions.clear()
    this.#keys = []
    this.#changed.clear()
    this.commit(height, entries)
    this.#start = height
  }

  // All keys and values after block `height`.
  entries(height) {
    return this.#keys.map((key) => [key, this.read(key, height)]).filter(([, value]) => value !== null)
  }

  // Record what block `height` changed. Heights only go up, one by one.
  commit(height, changes) {
    const fresh = []
    const changed = []
    for (const [key, value] of changes) {
      const versions = this.#versions.get(key)
      if (!versions) {
        if (value === null) continue
        this.#versions.set(key, { heights: [height], values: [value] })
        fresh.push(key)
      } else if (versions.values.at(-1) !== value) {
        versions.heights.push(height)
        versions.values.push(value)
      } else continue
      changed.push(key)
    }
    if (fresh.length > 64) this.#keys = this.#keys.concat(fresh).sort()
    else for (const key of fresh) this.#keys.splice(lowerBound(this.#keys, key), 0, key)
    this.#height = height
    if (this.#horizon === Infinity) return
    this.#changed.set(height, changed)
    this.#forget(this.oldest)
  }

  // Drop what was overwritten at block `height`, which is the oldest now.
  #forget(height) {
    for (const key of this.#changed.get(height) ?? []) {
      const versions = this.#versions.get(key)
      const { heights, values } = versions
      const old = lowerBound(heights, height + 1) - 1
      heights.splice(0, old)
      values.splice(0, old)
      if (values.length > 1 || values[0] !== null) continue
      this.#versions.delete(key)
      this.#keys.splice(lowerBound(this.#keys, key), 1)
    }
    this.#changed.delete(height)
  }

  // The value of a key after block `height`; null when it has none.
  read(key, height) {
    const versions = this.#versions.get(key)
    if (!versions) return null
    const at = lowerBound(versions.heights, height + 1)
    return at === 0 ? null : versions.values[at - 1]
  }

  // The heights from `first` to `last` at which a block set `key`.
  changes(key, first, last) {
    const heights = this.#versions.get(key)?.heights ?? []
    return heights.slice(lowerBound(heights, first), lowerBound(heights, last + 1))
  }

  // The first key behind `after` that starts with `prefix` and has a value after block `height`.
  nextKey(prefix, after, height) {
    return nextKey(this.#keys, prefix, after, (key) => this.read(key, height) !== null)
  }

  // The last key in front of `key` that has a value after block `height`.
  previousKey(key, height) {
    let at = lowerBound(this.#keys, key) - 1
    while (at >= 0 && this.read(this.#keys[at], height) === null) at -= 1
    return this.#keys[at]
  }

  // Up to `count` such keys, in order. With `after`, only those behind it. Those of child tries only with a prefix there.
  keys(prefix, height, count, after) {
    const found = []
    // the prefix itself may be a key
    if (after === undefined && count > 0 && this.read(prefix, height) !== null) found.push(prefix)
    for (let last = after ?? prefix; found.length < count; ) {
      last = this.nextKey(prefix, last, height)
      if (last === undefined) break
      if (!last.startsWith(CHILD_PREFIX) || prefix.startsWith(CHILD_PREFIX)) found.push(last)
      else last = BEHIND_CHILDREN
    }
    return found
  }
}

// What the block in production has changed so far, over the state of its parent: the storage that a runtime call sees,
// with transactions that can be nested.
export class Overlay {
  #state
  #height
  #changes = new Map()
  #keys = [] // of the changes, sorted
  #undo = [] // per open transaction, the keys it changed first and what they were: [key, value | undefined]

  constructor(state, height) {
    this.#state = state
    this.#height = height
  }

  get changes() {
    return this.#changes
  }

  read(key) {
    const value = this.#changes.get(key)
    return value === undefined ? this.#state.read(key, this.#height) : value
  }

  // Set a key; null removes it.
  write(key, value) {
    this.#undo.at(-1)?.push([key, this.#changes.get(key)])
    this.#put(key, value)
  }

  #put(key, value) {
    if (!this.#changes.has(key)) this.#keys.splice(lowerBound(this.#keys, key), 0, key)
    this.#changes.set(key, value)
  }

  #forget(key) {
    this.#changes.delete(key)
    this.#keys.splice(lowerBound(this.#keys, key), 1)
  }

  // Begin a transaction inside those that are open; gives how many these are.
  start() {
    return this.#undo.push([]) - 1
  }

  // Keep what the innermost transaction changed; with `depth`, all those that began when so many were open.
  commit(depth = this.#undo.length - 1) {
    while (this.#undo.length > depth) {
      const done = this.#undo.pop()
      const outer = this.#undo.at(-1)
      if (outer) for (const change of done) outer.push(change)
    }
  }

  // The same, undoing it.
  rollback(depth = this.#undo.length - 1) {
    while (this.#undo.length > depth) {
      for (const [key, value] of this.#undo.pop().reverse())
        value === undefined ? this.#forget(key) : this.#put(key, value)
    }
  }

  // Remove the keys below a prefix: all that are only here, and at most `limit` of those in the parent's state. Gives how
  // many of the latter were seen, and whether none is left.
  clear(prefix, limit) {
    const here = []
    for (let at = lowerBound(this.#keys, prefix); this.#keys[at]?.startsWith(prefix); at += 1) here.push(this.#keys[at])
    for (const key of here) this.write(key, null)
    let removed = 0
    let key = this.#state.nextKey(prefix, '', this.#height)
    for (; key !== undefined && removed < limit; removed += 1) {
      this.write(key, null)
      key = this.#state.nextKey(prefix, key, this.#height)
    }
    return { removed, all: key === undefined }
  }

  // The first key behind `key`; a walk over the main trie does not see the keys of child tries.
  next(key) {
    let found = this.#first('', key)
    while (found?.startsWith(CHILD_PREFIX) && found.length > CHILD_PREFIX.length + CHILD_ID)
      found = this.#first('', found)
    return found
  }

  #first(prefix, after) {
    const changed = nextKey(this.#keys, prefix, after, (key) => this.#changes.get(key) !== null)
    let kept = this.#state.nextKey(prefix, after, this.#height)
    while (kept !== undefined && this.#changes.has(kept)) kept = this.#state.nextKey(prefix, kept, this.#height)
    if (changed === undefined || kept === undefined) return changed ?? kept
    return changed < kept ? changed : kept
  }
}
