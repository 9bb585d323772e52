// The node that the suite speaks to: the one at PROOFWARD_NODE (ws://...), whose Alice and Bob can pay, or an embedded
// chain of its own.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const path = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url))

export const EMBEDDED = process.env.PROOFWARD_NODE === undefined

// { url, stop }
export async function target() {
  if (!EMBEDDED) return { url: process.env.PROOFWARD_NODE, stop: () => {} }
  const command = [
    path('devnet/main.mjs'),
    '--spec',
    path('chain/spec/proofward-dev.json'),
    '--port',
    '0',
    '--follow-stdin',
  ]
  const chain = spawn(process.execPath, command, { stdio: ['pipe', 'pipe', 'inherit'] })
  for await (const line of createInterface({ input: chain.stdout })) {
    const message = JSON.parse(line)
    if (message.event !== 'ready') throw new Error(message.message)
    return { url: message.url, stop: () => chain.stdin.end() }
  }
  throw new Error('the embedded chain ended before it was ready')
}

// A promise, and the function that keeps it.
export function promise() {
  let keep
  const kept = new Promise((resolve) => (keep = resolve))
  return { kept, keep }
}
