// npm run figures: how fast the built page comes in a headless Chromium, from a cold cache, on this machine
// and as a slow phone has it. Medians of five; --json FILE keeps all.
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { serve } from './serve.mjs'
import { chromiumArgs, chromium as chromiumPath, fail, root } from './tools.mjs'

const RUNS = 5
/** As Lighthouse throttles for phones: a slow 4G, and a processor a quarter as fast. */
const PHONE = { latency: 150, downloadThroughput: (1.6e6 / 8) * 0.9, uploadThroughput: 750e3 / 8 }
const SLOWER = 4

/** Runs in the page before all else. */
function watch() {
  const seen = (window.seen = {
    fcp: 0,
    lcp: 0,
    shift: 0,
    longest: 0,
    long: 0,
    blocked: 0,
    name: 0,
  })
  const observe = (type, each) =>
    new PerformanceObserver((list) => list.getEntries().forEach(each)).observe({
      type,
      buffered: true,
    })
  observe('paint', ({ name, startTime }) => {
    if (name === 'first-contentful-paint') seen.fcp = startTime
  })
  observe('largest-contentful-paint', ({ startTime }) => (seen.lcp = startTime))
  observe('layout-shift', ({ hadRecentInput, value }) => {
    if (!hadRecentInput) seen.shift += value
  })
  observe('longtask', ({ duration }) => {
    seen.long++
    seen.longest = Math.max(seen.longest, duration)
    seen.blocked += duration - 50
  })
  const look = () => {
    // A dash stands for a name that is to come.
    if (/\w/.test(document.querySelector('#names li .name')?.textContent))
      seen.name = performance.now()
    else requestAnimationFrame(look)
  }
  addEventListener('DOMContentLoaded', look)
}

async function once(browser, url, throttled) {
  const context = await browser.newContext({ viewport: { width: 412, height: 823 }, locale: 'en' })
  const page = await context.newPage()
  const devtools = await context.newCDPSession(page)
  await devtools.send('Network.enable')
  if (throttled) {
    await devtools.send('Network.emulateNetworkConditions', { offline: false, ...PHONE })
    await devtools.send('Emulation.setCPUThrottlingRate', { rate: SLOWER })
  }
  const bytes = { code: 0, model: 0 }
  const addresses = new Map()
  devtools.on('Network.requestWillBeSent', ({ requestId, request }) =>
    addresses.set(requestId, request.url),
  )
  devtools.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    bytes[addresses.get(requestId)?.includes('/places/') ? 'model' : 'code'] += encodedDataLength
  })
  await page.addInitScript(watch)
  await page.goto(url)
  await page.waitForFunction(() => window.seen.name > 0, null, { timeout: 120_000 })
  const { code, model } = bytes
  const found = await page.evaluate(() => window.seen)
  await context.close()
  return { ...found, code, model }
}

const ROWS = [
  ['first contentful paint, ms', 'fcp', 0],
  ['largest contentful paint, ms', 'lcp', 0],
  ['first name, ms', 'name', 0],
  ['layout shift', 'shift', 3],
  ['long tasks', 'long', 0],
  ['longest task, ms', 'longest', 0],
  ['blocked by long tasks, ms', 'blocked', 0],
  ['code until then, kB', 'code', 0, 1e3],
  ['model and adapters, kB', 'model', 0, 1e3],
]

async function figures({ json }) {
  const server = await serve(join(root, 'www/dist'), { port: 0, compress: true })
  const args = chromiumArgs().filter((arg) => !arg.includes('webgpu'))
  const browser = await chromium.launch({ executablePath: chromiumPath(), args })
  const runs = { here: [], phone: [] }
  try {
    // The server compresses what is asked for the first time.
    await once(browser, server.url, false)
    for (let i = 0; i < RUNS; i++) {
      runs.here.push(await once(browser, server.url, false))
      runs.phone.push(await once(browser, server.url, true))
    }
  } finally {
    await browser.close()
    await server.close()
  }
  const machine = `${cpus().length} x ${cpus()[0].model}; Chromium ${browser.version()}`
  console.log(`${machine}; medians of ${RUNS}, cold, without WebGPU\n`)
  console.log('as it is, and at 1.6 Mbit/s with 150 ms and a processor a quarter as fast\n')
  const median = (of, key) => of.map((run) => run[key]).sort((a, b) => a - b)[RUNS >> 1]
  for (const [label, key, digits, unit = 1] of ROWS) {
    const cells = Object.values(runs).map((of) => (median(of, key) / unit).toFixed(digits))
    console.log(label.padEnd(32) + cells.map((cell) => cell.padStart(10)).join(''))
  }
  if (json) writeFileSync(json, JSON.stringify({ machine, runs }, null, 2))
}

try {
  await figures(parseArgs({ options: { json: { type: 'string' } } }).values)
} catch (error) {
  fail(error)
}
