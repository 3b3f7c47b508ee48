// A soak: load, swap, write, merge, delete, abort, for as many minutes as are asked for, in a page with
// both backends. Counts of buffers, wasm memory and JS heap every minute: those once it is warm, and at
// the end.
//   node tests/package/soak.mjs MINUTES
import assert from 'node:assert/strict'
import { chromium } from 'playwright-core'
import { serve } from '../../scripts/serve.mjs'
import { chromiumArgs, chromium as chromiumPath } from '../../scripts/tools.mjs'
import { consumer, expected, places } from './consumers.mjs'

const minutes = Number(process.argv[2] ?? 30)
// Until then the heap grows by what the browser keeps once: code compiled late, 250 resource timings.
const WARM = 300
const folder = consumer('html')
places(folder)
const server = await serve(folder, { port: 0 })
const browser = await chromium.launch({
  executablePath: chromiumPath(),
  args: [...chromiumArgs(), '--js-flags=--expose-gc', '--enable-precise-memory-info'],
})
try {
  const page = await browser.newPage()
  page.setDefaultTimeout(0)
  await page.addInitScript(() => {
    const { instantiateStreaming } = WebAssembly
    WebAssembly.instantiateStreaming = async (...given) => {
      const made = await instantiateStreaming(...given)
      window.memory ??= made.instance.exports.memory
      return made
    }
  })
  await page.goto(`${server.url}?device=none`)
  await page.waitForFunction(() => window.lokahi)
  await page.evaluate(async (rest) => {
    const models = {}
    for (const device of ['cpu', 'webgpu']) {
      await lokahi.init({ device })
      models[device] = await lokahi.Model.fromPretrained('./places/base/')
    }
    const text = async (pieces) => {
      let all = ''
      for await (const piece of pieces) all += piece
      return all
    }
    const round = async (model) => {
      const adapter = await model.loadAdapter('./places/fi-lokr/', { name: 'fi' })
      model.setAdapters(['fi'])
      const same = [await text(model.generate('San '))]
      model.mergeAdapters()
      same.push(await text(model.generate('San ')))
      model.unmergeAdapters()
      const stop = new AbortController()
      const pieces = model.generate('', { temperature: 1, signal: stop.signal })
      await pieces.next()
      stop.abort()
      const { name } = await text(pieces).catch((error) => error)
      model.deleteAdapter('fi')
      adapter.dispose()
      if (same.some((text) => text !== rest) || name !== 'AbortError') failures++
    }
    let failures = 0
    let rounds = 0
    window.soak = async (milliseconds) => {
      const start = performance.now()
      while (performance.now() - start < milliseconds) {
        for (const model of Object.values(models)) await round(model)
        rounds++
      }
      // Array buffers count until tasks after a collection have freed them: right after one, a page
      // that only fetches counts ten megabytes more, another number each time.
      for (let time = 0; time < 5; time++) {
        window.gc()
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      return {
        failures,
        rounds,
        buffers: Object.values(models).map(({ memory }) => memory.buffers),
        wasm: window.memory.buffer.byteLength,
        heap: performance.memory.usedJSHeapSize,
      }
    }
  }, expected.text.slice(4))
  let first
  let last
  for (let minute = 0; minute < minutes; minute++) {
    last = await page.evaluate(() => window.soak(60_000))
    console.log(JSON.stringify(last))
    if (last.rounds >= WARM) first ??= last
  }
  assert.equal(last.failures, 0)
  assert.ok(first && first !== last, `expected more than ${WARM} rounds, got ${last.rounds}`)
  assert.deepEqual(last.buffers, first.buffers)
  for (const what of ['wasm', 'heap']) {
    assert.ok(last[what] < first[what] * 1.05, `${what}: ${first[what]}, then ${last[what]}`)
  }
} finally {
  await browser.close()
  await server.close()
}
