// The package in a real page that does not use it well.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { serve } from '../../scripts/serve.mjs'
import { consumer, expected, places } from './consumers.mjs'
import { closeBrowser, onPage } from './pages.mjs'

let server
before(async () => {
  const folder = consumer('html')
  places(folder)
  server = await serve(folder, { port: 0 })
})
after(async () => {
  await closeBrowser()
  await server?.close()
})

/** Runs a function in a page where nobody called `init`. */
const inPage = (use) =>
  onPage(`${server.url}?device=none`, async ({ page }) => {
    await page.waitForFunction(() => window.lokahi)
    await page.evaluate(() => {
      window.text = async (pieces) => {
        let all = ''
        for await (const piece of pieces) all += piece
        return all
      }
      window.codeOf = (promise) =>
        promise.then(
          () => 'none',
          ({ code, name }) => code ?? name,
        )
      window.load = async (device) => {
        const model = await lokahi.Model.fromPretrained('./places/base/', { device })
        await model.loadAdapter('./places/fi-lokr/', { name: 'fi' })
        model.setAdapters(['fi'])
        return model
      }
    })
    return page.evaluate(use)
  })

test('a call before init is refused by name', async () => {
  const codes = await inPage(async () => [
    await codeOf(lokahi.Model.fromPretrained('./places/base/')),
    await codeOf(lokahi.Adapter.load('./places/fi-lokr/')),
    await codeOf(lokahi.combine([])),
  ])
  assert.deepEqual(codes, ['NotInitialised', 'NotInitialised', 'NotInitialised'])
})

test('init many times at once: one wasm, one device, the last call decides', async () => {
  const { backends, backend, fetched, devices } = await inPage(async () => {
    let devices = 0
    const open = GPUAdapter.prototype.requestDevice
    GPUAdapter.prototype.requestDevice = function (...given) {
      devices++
      return open.apply(this, given)
    }
    const all = await Promise.all(
      Array.from({ length: 10 }, (_, i) => lokahi.init({ device: i % 2 ? 'cpu' : 'webgpu' })),
    )
    const fetched = performance
      .getEntriesByType('resource')
      .filter(({ name }) => name.endsWith('lokahi_bg.wasm')).length
    const { backend } = await load()
    return { backends: all.map(({ backend }) => backend), fetched, devices, backend }
  })
  assert.deepEqual(
    backends,
    Array.from({ length: 10 }, (_, i) => (i % 2 ? 'cpu' : 'webgpu')),
  )
  assert.equal(backend, 'cpu', 'the last call decides')
  assert.deepEqual({ fetched, devices }, { fetched: 1, devices: 1 })
})

test('two engines in one page, writing at once', async () => {
  const texts = await inPage(async () => {
    await lokahi.init({ device: 'webgpu' })
    const gpu = await load()
    await lokahi.init({ device: 'cpu' })
    const cpu = await load()
    const write = (model) => text(model.generate('San '))
    const texts = await Promise.all([write(gpu), write(cpu), write(gpu), write(cpu)])
    return [gpu.backend, cpu.backend, ...texts]
  })
  const rest = expected.text.slice(4)
  assert.deepEqual(texts, ['webgpu', 'cpu', rest, rest, rest, rest])
})

for (const device of ['cpu', 'webgpu']) {
  test(`${device}: dispose while a text is written, another model goes on`, async () => {
    const said = await inPage(
      Function(`return (async () => {
        await lokahi.init({ device: '${device}' })
        const [model, other] = [await load(), await load()]
        const pieces = model.generate('', { temperature: 1, seed: 1 })
        await pieces.next()
        const next = codeOf(pieces.next().then(() => pieces.next()))
        model.dispose()
        return [await next, await codeOf(model.forward([1])), await text(other.generate('San '))]
      })()`),
    )
    assert.deepEqual(said, ['Disposed', 'Disposed', expected.text.slice(4)])
  })
}

test('wasm that differs from its hash, from an address; then the right one', async () => {
  const [code, message, backend] = await inPage(async () => {
    const address = './node_modules/lokahi/dist/'
    const integrity = await (await fetch(`${address}integrity.json`)).json()
    const wasm = `${address}lokahi_tools_bg.wasm`
    const error = await lokahi.init({ device: 'cpu', wasm, integrity }).catch((error) => error)
    const { backend } = await lokahi.init({ device: 'cpu', integrity })
    return [error.code, error.message, backend]
  })
  assert.equal(code, 'IntegrityMismatch')
  assert.match(message, /^lokahi_bg\.wasm: expected sha384-/)
  assert.equal(backend, 'cpu')
})

test('a web page in place of the wasm is told with what helps', async () => {
  const [code, message] = await inPage(async () => {
    const error = await lokahi.init({ wasm: './index.html' }).catch((error) => error)
    return [error.code, error.message]
  })
  assert.equal(code, 'WasmNotFound')
  assert.match(message, /index\.html.*optimizeDeps/)
})
