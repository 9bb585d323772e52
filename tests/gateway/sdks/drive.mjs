// The table of cases by the clients of npm: node drive.mjs URL; prints what each case came to, as JSON.
import { readFileSync } from 'node:fs'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'

const url = process.argv[2]
const cases = JSON.parse(readFileSync(new URL('cases.json', import.meta.url), 'utf8'))

function method(one) {
  const options = { apiKey: one.key ?? 'a-key', maxRetries: 0 }
  const client =
    one.sdk === 'openai'
      ? new OpenAI({ ...options, baseURL: `${url}/v1` })
      : new Anthropic({ ...options, baseURL: url })
  const names = (one.js ?? one.call).split('.')
  const last = names.pop()
  const owner = names.reduce((value, name) => value[name], client)
  return (body) => (body === undefined ? owner[last]() : owner[last](body))
}

async function streamed(stream, one) {
  const found = { text: '', usage: [] }
  let seen = 0
  for await (const event of stream) {
    seen += 1
    if (one.cancel === seen) {
      stream.controller.abort()
      return { cancelled: true }
    }
    for (const choice of event.choices ?? []) {
      found.text += choice.delta?.content ?? choice.text ?? ''
      for (const call of choice.delta?.tool_calls ?? []) {
        found.tools = (found.tools ?? '') + (call.function.name ?? '') + call.function.arguments
      }
    }
    if (event.type === 'response.output_text.delta') found.text += event.delta
    if (event.type === 'content_block_delta') found.text += event.delta.text
    const usage = event.usage ?? (event.type === 'response.completed' ? event.response.usage : undefined)
    if (usage) found.usage.push(usage.total_tokens ?? usage.output_tokens)
  }
  return found
}

async function observed(one) {
  try {
    const body = one.args === null ? undefined : { model: 'echo-1', ...one.args, ...one.extra }
    const found = await method(one)(body)
    return { found: one.args?.stream ? await streamed(found, one) : JSON.parse(JSON.stringify(found)) }
  } catch (error) {
    if (!(error instanceof OpenAI.APIError || error instanceof Anthropic.APIError)) throw error
    return { error: [error.status ?? null, error.code ?? error.error?.error?.code ?? null] }
  }
}

const results = {}
for (const one of cases) results[one.name] = await observed(one)
console.log(JSON.stringify(results))
