// The package in module workers that Vite bundled, on both backends: in one of the app's own, and
// through lokahi/worker, under a policy that allows no blob and no eval.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { open } from './browser.mjs'
import { buildWorker } from './worker.mjs'

const policy = (workers) => ({
  'Content-Security-Policy': `default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src ${workers}`,
})
const backends = ['cpu', 'webgpu']

let opened
let page
let outDir

before(async () => {
  outDir = await buildWorker()
  opened = await open({ webgpu: true, folder: outDir, headers: policy("'self'") })
  page = await opened.browser.newPage()
  await page.goto(`${opened.url}through.html`)
  await page.waitForFunction(() => window.far)
})

after(() => opened?.close())

test("an app's own worker loads the model, swaps an adapter in and names a town", async () => {
  const page = await opened.browser.newPage()
  await page.goto(opened.url)
  const said = await page.evaluate(() => window.said)
  const finnish = { parameters: 71_680, text: 'San Palki' }
  assert.deepEqual(
    said,
    backends.map((backend) => ({ backend, ...finnish })),
  )
})

for (const device of backends) {
  test(`${device}: loading, adapters, texts and logits are those of the page itself`, async () => {
    const [near, far] = await page.evaluate(async (device) => {
      const use = async (lokahi, device) => {
        const progress = []
        const model = await lokahi.Model.fromPretrained('./places/base/', {
          device,
          onProgress: ({ status, file }) => progress.push(`${status} ${file}`),
        })
        const adapter = await model.loadAdapter('./places/adapters/fi-loha/', { name: 'fi' })
        await model.setAdapters(['fi'], [0.9])
        const finnish = await text(model.generate('San ', { temperature: 0.8, seed: 5 }))
        const { logits, shape } = await model.forward([1, 21, 30])
        const type = logits.constructor.name
        const result = {
          progress: [...new Set(progress)],
          finnish,
          shape,
          type,
          bits: [...new Uint32Array(logits.buffer)],
          rank: (await adapter.spectrum(model.modules[3].name)).numericalRank,
          told: [model.backend, model.adapters, model.merged, adapter.parameters, model.config],
        }
        await model.dispose()
        return result
      }
      await near.init({ device })
      const lokahi = await far.startWorker({ device })
      const results = [await use(near), await use(lokahi)]
      lokahi.terminate()
      return results
    }, device)
    assert.deepEqual(far, near)
    assert.equal(far.told[0], device)
    assert.equal(far.progress.at(-1), 'ready ')
    assert.ok(far.progress.includes('download model.safetensors'), far.progress.join(', '))
  })

  test(`${device}: aborts of a load and of a text, with their reasons; the model goes on`, async () => {
    const said = await page.evaluate(async (device) => {
      const lokahi = await far.startWorker({ device })
      const reason = new Error('the reader left')
      const first = new AbortController()
      const load = lokahi.Model.fromPretrained('./places/base/', {
        signal: first.signal,
        onProgress: () => first.abort(reason),
      })
      const sameReason = (await load.catch((error) => error)) === reason
      const model = await lokahi.Model.fromPretrained('./places/base/')
      const before = await text(model.generate('K'))
      const second = new AbortController()
      const pieces = model.generate('', { temperature: 1, seed: 1, signal: second.signal })
      await pieces.next()
      second.abort()
      const aborted = await errorOf(text(pieces))
      const isDom = second.signal.reason instanceof DOMException
      const unknown = await errorOf(model.setAdapters(['who']))
      const missing = await errorOf(lokahi.Adapter.load('./nowhere/'))
      const goesOn = (await text(model.generate('K'))) === before
      lokahi.terminate()
      return { sameReason, aborted, isDom, unknown, missing, goesOn }
    }, device)
    assert.equal(said.sameReason, true)
    assert.deepEqual(
      [said.aborted.class, said.aborted.name, said.isDom],
      ['DOMException', 'AbortError', true],
    )
    assert.deepEqual([said.unknown.name, said.unknown.code], ['LokahiError', 'UnknownAdapter'])
    assert.deepEqual([said.missing.name, said.missing.code], ['LokahiError', 'MissingFile'])
    assert.equal(said.goesOn, true)
  })

  test(`${device}: a loop may be left; dispose and terminate end what is under way`, async () => {
    const said = await page.evaluate(async (device) => {
      const lokahi = await far.startWorker({ device })
      const model = await lokahi.Model.fromPretrained('./places/base/')
      const taken = []
      for await (const id of model.generateIds([1], { temperature: 1, seed: 3 })) {
        if (taken.push(id) === 2) break
      }
      const other = await lokahi.Model.fromPretrained('./places/base/')
      await other.dispose()
      const disposed = await errorOf(other.forward([1]))
      const under = [
        errorOf(model.forward(Array.from({ length: 64 }, (_, i) => i))),
        errorOf(text(model.generate('', { temperature: 1, seed: 4 }))),
      ]
      lokahi.terminate()
      return { taken, disposed, under: await Promise.all(under) }
    }, device)
    assert.equal(said.taken.length, 2)
    assert.equal(said.disposed.code, 'Disposed')
    for (const { code, message } of said.under) {
      assert.equal(code, 'Disposed')
      assert.match(message, /terminated/)
    }
  })
}

test('a product and the plans of a model are those of the page itself', async () => {
  const [[here, near], [there, far]] = await page.evaluate(async () => {
    const use = async (lokahi) => {
      const found = { y: [], off: [] }
      const options = { shape: [45, 64], dtype: 'Q4_1', method: 'lokr', rank: 4, seed: 3 }
      for (const device of ['cpu', 'webgpu']) {
        const product = await lokahi.Product.create({ ...options, device })
        const x = Float32Array.from({ length: 128 }, (_, i) => ((i * 7919) % 2003) / 1001.5 - 1)
        for (const form of ['base', 'structured', 'merged']) {
          found.y.push([...(await product.run(form, x))])
          found.off.push(await product.deviation(form, x))
        }
        const ms = await product.time('structured', { rows: 2 })
        found[device] = [product.backend, [...product.shape], ms > 0]
        // Measuring a software GPU takes seconds.
        if (device === 'cpu') found.choice = (await product.plan({ rows: 2 })).choice !== 'base'
        await product.dispose()
        found[device].push((await errorOf(product.run('base', x))).code)
      }
      const model = await lokahi.Model.fromPretrained('./places/base/', { device: 'cpu' })
      await model.loadAdapter('./places/adapters/fi-loha/', { name: 'fi' })
      await model.setAdapters(['fi'])
      const explained = (await model.explain({ rows: 16 })).map(({ modules, bytes }) => [
        modules,
        bytes,
      ])
      await model.dispose()
      return [explained, found]
    }
    await near.init({ device: 'cpu' })
    const lokahi = await far.startWorker({ device: 'cpu' })
    const results = [await use(near), await use(lokahi)]
    lokahi.terminate()
    return results
  })
  assert.deepEqual(far, near)
  assert.equal(near.choice, true)
  for (const backend of backends)
    assert.deepEqual(near[backend], [backend, [45, 64], true, 'Disposed'])
  assert.ok(here.length > 0 && here.every(([modules, bytes]) => modules.length > 0 && bytes > 0))
  assert.deepEqual(there, here)
})

test('files that were picked cross as they are', async () => {
  const parameters = await page.evaluate(async () => {
    const lokahi = await far.startWorker({ device: 'cpu' })
    const names = ['adapter_config.json', 'adapter_model.safetensors']
    const read = async (name) => {
      const response = await fetch(`./places/adapters/fi-lora/${name}`)
      return new File([await response.blob()], name)
    }
    const adapter = await lokahi.Adapter.load(await Promise.all(names.map(read)))
    const { parameters } = adapter
    const [file] = Object.values((await adapter.save('lycoris')).files)
    const again = await lokahi.Adapter.load(new File([file], 'fi.safetensors'))
    lokahi.terminate()
    return [parameters, again.parameters]
  })
  assert.deepEqual(parameters, [35_840, 35_840])
})

test('the page does not stutter while its worker computes', async (t) => {
  const { gaps, forwards, here } = await page.evaluate(async () => {
    const lokahi = await far.startWorker({ device: 'cpu' })
    const model = await lokahi.Model.fromPretrained('./places/base/')
    const ids = [1, ...Array.from({ length: 63 }, (_, i) => 5 + i)]
    let going = true
    let forwards = 0
    // Several at once: in the worker one follows the other without a pause.
    const work = async () => {
      for (; going; forwards++) await model.forward(ids)
    }
    const working = Promise.all(Array.from({ length: 8 }, work))
    const gaps = []
    for (let last = performance.now(), end = last + 2000; last < end;) {
      await new Promise(requestAnimationFrame)
      const now = performance.now()
      gaps.push(now - last)
      last = now
    }
    going = false
    await working
    lokahi.terminate()
    // The same on the page would hold it this long at once.
    const near = await window.near.Model.fromPretrained('./places/base/', { device: 'cpu' })
    const start = performance.now()
    await Promise.all(Array.from({ length: 8 }, () => near.forward(ids)))
    return { gaps, forwards, here: performance.now() - start }
  })
  const median = gaps.toSorted((a, b) => a - b)[gaps.length >> 1]
  const longest = Math.max(...gaps)
  t.diagnostic(JSON.stringify({ median, longest, frames: gaps.length, forwards, here }))
  assert.ok(forwards > 8, `${forwards} forwards`)
  assert.ok(median < 50, `median gap between frames ${median} ms`)
})

test('a worker that was ended: all that waits is told, and a new one works', async () => {
  const said = await page.evaluate(async () => {
    const worker = ownWorker()
    const lokahi = await far.startWorker({ device: 'cpu', worker })
    const model = await lokahi.Model.fromPretrained('./places/base/')
    const wanted = await text(model.generate('San '))
    const pieces = model.generate('', { temperature: 1, seed: 1 })
    await pieces.next()
    const waiting = [
      ...Array.from({ length: 3 }, () => model.forward(Array.from({ length: 128 }, (_, i) => i))),
      lokahi.Model.fromPretrained('./places/base/'),
      lokahi.Adapter.load('./places/adapters/fi-lora/'),
      pieces.next(),
      text(model.generate('K')),
    ]
    // As a browser ends one that took too much: no event tells.
    worker.terminate()
    const codes = (await Promise.all(waiting.map(errorOf))).map(({ code }) => code)
    const ended = await errorOf(pieces.next())
    const later = await errorOf(model.forward([1]))
    codes.push(later.code, ended.code, (await errorOf(model.dispose())).code)
    const again = await far.startWorker({ device: 'cpu' })
    const other = await again.Model.fromPretrained('./places/base/')
    const same = (await text(other.generate('San '))) === wanted
    again.terminate()
    return { codes, same }
  })
  assert.deepEqual(said, {
    codes: [...Array(8).fill('WorkerLost'), undefined, undefined],
    same: true,
  })
})

test("a worker of the page's own, and workers that fail", async () => {
  const said = await page.evaluate(async () => {
    const worker = ownWorker()
    const heard = []
    worker.addEventListener('message', ({ data }) => heard.push(data))
    const lokahi = await far.startWorker({ device: 'cpu', worker })
    const { parameters } = await lokahi.Adapter.load('./places/adapters/fi-lora/')
    worker.postMessage('a word of the app')
    const { parameters: again } = await lokahi.Adapter.load('./places/adapters/fi-lora/')
    worker.dispatchEvent(new ErrorEvent('error', { message: 'it died' }))
    const died = await errorOf(lokahi.Adapter.load('./places/adapters/fi-lora/'))
    const absent = new Worker('./nowhere.js', { type: 'module' })
    const nowhere = await errorOf(far.startWorker({ worker: absent }))
    const wasm = await errorOf(far.startWorker({ device: 'cpu', wasm: './nowhere.wasm' }))
    return { parameters, again, heard: heard.length > 0, died, nowhere, wasm }
  })
  assert.deepEqual([said.parameters, said.again, said.heard], [35_840, 35_840, true])
  assert.deepEqual([said.died.code, said.nowhere.code], ['WorkerLost', 'WorkerLost'])
  assert.match(said.died.message, /it died/)
  assert.equal(said.wasm.code, 'WasmNotFound')
  assert.match(said.wasm.message, new RegExp(`from ${opened.url}nowhere.wasm`))
})

test('a policy that forbids workers is told', async () => {
  const { url, browser, close } = await open({
    webgpu: false,
    folder: outDir,
    headers: policy("'none'"),
  })
  try {
    const page = await browser.newPage()
    await page.goto(`${url}through.html`)
    await page.waitForFunction(() => window.far)
    const error = await page.evaluate(() => errorOf(far.startWorker()))
    assert.deepEqual([error.name, error.code], ['LokahiError', 'WorkerLost'])
    assert.match(error.message, /policy|Content Security/i)
  } finally {
    await close()
  }
})
