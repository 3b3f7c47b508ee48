// The plain page in the other browsers: WebKitGTK, Firefox, Chromium without WebGPU.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { serve } from '../../scripts/serve.mjs'
import { launch } from '../page/browser.mjs'
import { agrees, consumer, places } from './consumers.mjs'
import { inFirefox, inWebKit } from './webdriver.mjs'

// The driver says that a page is there before its modules have run.
const told = 'while (!window.result) await new Promise(requestAnimationFrame); return window.result'

let server
before(async () => {
  const folder = consumer('html')
  places(folder)
  server = await serve(folder, { port: 0 })
})
after(() => server?.close())

test('WebKitGTK, on the CPU', async (t) => {
  await inWebKit(server.url, async ({ version, evaluate }) => {
    t.diagnostic(version)
    agrees(await evaluate(told))
    const auto = await evaluate('return await window.lokahi.init()')
    assert.equal(auto.backend, 'cpu')
    t.diagnostic(auto.reason)
  })
})

for (const device of ['cpu', 'webgpu']) {
  test(`Firefox, on ${device}`, async (t) => {
    await inFirefox(`${server.url}?device=${device}`, async ({ version, evaluate }) => {
      t.diagnostic(version)
      agrees(await evaluate(told))
    })
  })
}

test('Chromium without WebGPU: the CPU, and why', async () => {
  const browser = await launch({ webgpu: false })
  try {
    const page = await browser.newPage()
    await page.goto(`${server.url}?device=auto`)
    await page.waitForFunction(() => window.result)
    agrees(await page.evaluate(() => window.result))
    const { backend, reason } = await page.evaluate(() => window.lokahi.init())
    assert.equal(backend, 'cpu')
    assert.match(reason, /WebGPU|GPU/)
    const refused = await page.evaluate(() =>
      window.lokahi.init({ device: 'webgpu' }).catch(({ code }) => code),
    )
    assert.equal(refused, 'Device')
  } finally {
    await browser.close()
  }
})
