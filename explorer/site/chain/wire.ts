// JSON-RPC questions, and who waits for which answer.

export const MAX_ANSWER = 64 << 20

/** The chain did not answer, or refused. */
export class NodeError extends Error {}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
  readonly timer: ReturnType<typeof setTimeout>
}

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: { readonly result?: unknown }
  readonly result?: unknown
  readonly error?: { readonly message?: string }
}

export class Wire {
  private readonly waiting = new Map<number, Waiting>()
  private next = 1

  /** `name` is who answers; `send` throws when nothing can be sent; `told` hears of what nobody asked for. */
  constructor(
    private readonly name: string,
    private readonly patience: number,
    private readonly send: (request: string) => void,
    private readonly told: (what: unknown) => void = () => {},
  ) {}

  call(method: string, params: readonly unknown[]): Promise<unknown> {
    const id = this.next++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id)
        reject(new NodeError(`${this.name} does not answer ${method}`))
      }, this.patience)
      this.waiting.set(id, { resolve, reject, timer })
      try {
        this.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }))
      } catch {
        this.lose()
      }
    })
  }

  /** Takes a message. False for what is none, or is too long. */
  hear(data: string): boolean {
    const message = data.length > MAX_ANSWER ? null : messageOf(data)
    if (!message) return false
    if (message.method !== undefined) this.told(message.params?.result)
    const found = this.waiting.get(Number(message.id))
    if (!found) return true
    this.waiting.delete(Number(message.id))
    clearTimeout(found.timer)
    if (message.error)
      found.reject(new NodeError(`${this.name} refuses: ${String(message.error.message).slice(0, 200)}`))
    else found.resolve(message.result)
    return true
  }

  /** Nobody who waits gets an answer. */
  lose(why = `the connection to ${this.name} was lost`): void {
    for (const { reject, timer } of this.waiting.values()) {
      clearTimeout(timer)
      reject(new NodeError(why))
    }
    this.waiting.clear()
  }
}

function messageOf(data: string): Message | null {
  try {
    const found: unknown = JSON.parse(data)
    return found !== null && typeof found === 'object' ? found : null
  } catch {
    return null
  }
}
