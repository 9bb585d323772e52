// Headless Chromium as the tests drive it: a step a line on standard input, an answer a line on standard output.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { chromium } from 'playwright-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
// Chromium's own sandbox does not start as root; the pages are our own.
const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []
const browser = await chromium.launch({ executablePath, args })

let page
let seen = { requests: [], errors: [], dialogs: 0 }
let [session, sockets, questions, rounds, heard] = [null, 0, 0, 0, true]

const lines = () =>
  page.$$eval('[data-check]', (rows) =>
    rows.map((row) => [row.dataset.check, row.dataset.word, row.querySelector('.detail')?.textContent ?? '']),
  )

const steps = {
  async open({ url, width = 1280, dark = false, offline = false }) {
    await page?.context().close()
    const colorScheme = dark ? 'dark' : 'light'
    // Scripts of the tests (axe) run beside the page's policy; the policy of what the page itself does stays.
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, bypassCSP: false })
    await context.setOffline(offline)
    page = await context.newPage()
    seen = { requests: [], errors: [], dialogs: 0 }
    page.on('request', (request) => seen.requests.push(request.url()))
    session = await context.newCDPSession(page)
    // Of the thread's own processor time, which other programs' load does not lengthen.
    await session.send('Performance.enable', { timeDomain: 'threadTicks' })
    ;[sockets, questions, rounds, heard] = [0, 0, 0, true]
    page.on('websocket', (socket) => {
      seen.requests.push(socket.url())
      if (sockets++) return // the first one is the verification's
      socket.on('framesent', () => {
        questions += 1
        if (heard) rounds += 1
        heard = false
      })
      socket.on('framereceived', () => {
        heard = true
      })
    })
    page.on('pageerror', (error) => seen.errors.push(error.message))
    page.on('console', (message) => message.type() === 'error' && seen.errors.push(message.text()))
    page.on('dialog', (dialog) => {
      seen.dialogs += 1
      return dialog.dismiss()
    })
    await page.goto(url)
  },
  async go({ hash }) {
    await page.evaluate((to) => {
      location.hash = to
    }, hash)
  },
  fill: ({ selector, value }) => page.fill(selector, value),
  check: ({ selector, on }) => page.setChecked(selector, on),
  click: ({ selector }) => page.click(selector),
  /** The page's clock, so many milliseconds from this machine's. */
  clock: ({ ms }) => page.clock.setFixedTime(Date.now() + ms),
  upload: ({ selector, path }) => page.setInputFiles(selector, path),
  press: ({ key }) => page.keyboard.press(key),
  wait: ({ selector, ms = 120_000 }) =>
    page.waitForSelector(selector, { timeout: ms, state: 'attached' }).then(() => null),
  text: ({ selector }) => page.textContent(selector),
  texts: ({ selector }) => page.$$eval(selector, (all) => all.map((one) => one.textContent)),
  evaluate: ({ script }) => page.evaluate(script),
  screenshot: ({ path }) => page.screenshot({ path, fullPage: true }).then(() => null),
  seen: () => seen,
  /**
   * What the page cost: milliseconds of the processor on its thread, and of these in scripts; questions to a node, and
   * how often it asked after it had been answered; milliseconds from navigation to what it marked first.
   */
  async costs() {
    const { metrics } = await session.send('Performance.getMetrics')
    const of = (name) => Math.round(1000 * metrics.find((one) => one.name === name).value)
    const marks = await page.evaluate(() =>
      performance.getEntriesByType('mark').map((one) => [one.name, Math.round(one.startTime)]),
    )
    const first = Object.fromEntries(marks.reverse())
    return { task: of('TaskDuration'), script: of('ScriptDuration'), questions, rounds, marks: first }
  },
  /** Give a file to a page and hear what it comes to. */
  async verify({ selector, name, content }) {
    await page.evaluate(() => document.getElementById('result')?.replaceChildren())
    const started = performance.now()
    await page.setInputFiles(selector, { name, mimeType: 'application/json', buffer: Buffer.from(content) })
    const end = await page.waitForSelector('[data-verdict],[data-error]', { timeout: 120_000 })
    const ms = performance.now() - started
    return { verdict: await end.getAttribute('data-verdict'), text: await end.textContent(), checks: await lines(), ms }
  },
  checks: lines,
  /** axe's findings of the two worst kinds. */
  async axe() {
    const run = `axe.run({ resultTypes: ['violations'] }).then((found) => JSON.stringify(found.violations))`
    await session.send('Runtime.evaluate', { expression: `${axe};0` })
    const { result } = await session.send('Runtime.evaluate', { expression: run, awaitPromise: true })
    return JSON.parse(result.value)
      .filter((one) => ['serious', 'critical'].includes(one.impact))
      .map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.target).join(' ')}`)
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const { step, ...options } = JSON.parse(line)
  let answer
  try {
    answer = { value: (await steps[step](options)) ?? null }
  } catch (error) {
    answer = { error: error.message }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
await browser.close()
