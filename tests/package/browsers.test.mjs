// The goldens in every browser, in each configuration that it has: 19 models, each with five names that
// PEFT wrote, merged and not.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { serve } from '../../scripts/serve.mjs'
import { launch } from '../page/browser.mjs'
import { agrees, allPlaces, beginnings, consumer, texts } from './consumers.mjs'
import { inFirefox, inWebKit } from './webdriver.mjs'

let server
before(async () => {
  const folder = consumer('html')
  allPlaces(folder)
  server = await serve(folder, { port: 0 })
})
after(() => server?.close())

const adapters = Object.keys(texts).filter((name) => name !== 'base')

/** What a page tells: how `init` chose, whether WebGPU can be insisted on, all names, the golden. */
const told = (device, some = adapters) => `
  // The driver says that a page is there before its modules have run.
  while (!window.names) await new Promise(requestAnimationFrame)
  const insisted = await lokahi.init({ device: 'webgpu' }).then(
    ({ backend }) => backend,
    ({ code }) => code,
  )
  const engine = await lokahi.init({ device: '${device}' })
  const all = await names(${JSON.stringify(some)}, ${JSON.stringify(beginnings)})
  return { ...engine, ...all, insisted, golden: await golden() }`

/** On this backend, with or without WebGPU, every name is right. */
function right(told, { backend, webgpu }, t, some = adapters) {
  t.diagnostic(`${told.backend} ${told.device}: ${told.reason}`)
  assert.equal(told.backend, backend)
  const wanted = Object.fromEntries(['base', ...some].map((name) => [name, texts[name]]))
  assert.deepEqual(told.texts, wanted)
  assert.deepEqual(told.merged, wanted)
  agrees(told.golden)
  assert.equal(told.insisted, webgpu ? 'webgpu' : 'Device')
  if (!webgpu) assert.match(told.reason, /WebGPU/)
}

const [onGpu, withoutGpu] = [
  { backend: 'webgpu', webgpu: true },
  { backend: 'cpu', webgpu: false },
]

test('WebKitGTK: the CPU, and why', async (t) => {
  await inWebKit(`${server.url}?device=none`, async ({ version, evaluate }) => {
    t.diagnostic(version)
    right(await evaluate(told('auto')), withoutGpu, t)
  })
})

test('Firefox on WebGPU', async (t) => {
  await inFirefox(onGpu, `${server.url}?device=none`, async ({ version, evaluate }) => {
    t.diagnostic(version)
    // It answers a readback late, and each token is one.
    const some = adapters.filter((name) => name.startsWith('fi-'))
    right(await evaluate(told('webgpu', some)), onGpu, t, some)
  })
})

test('Firefox without WebGPU: the CPU, and why', async (t) => {
  await inFirefox(withoutGpu, `${server.url}?device=none`, async ({ evaluate }) => {
    right(await evaluate(told('auto')), withoutGpu, t)
  })
})

/** `use` gets a page of Chromium, and a function as `evaluate` of the drivers. */
async function inChromium({ webgpu }, use) {
  const browser = await launch({ webgpu })
  try {
    const page = await browser.newPage()
    await page.goto(`${server.url}?device=none`)
    await page.waitForFunction(() => window.names)
    return await use((body) => page.evaluate(`(async () => { ${body} })()`), page)
  } finally {
    await browser.close()
  }
}

test('Chromium on WebGPU', async (t) => {
  await inChromium(onGpu, async (evaluate) => right(await evaluate(told('webgpu')), onGpu, t))
})

test('Chromium without WebGPU: the CPU, and why', async (t) => {
  await inChromium(withoutGpu, async (evaluate) =>
    right(await evaluate(told('auto')), withoutGpu, t),
  )
})

/**
 * In a page: its GPU has what every device has and no more, no feature, and so few bytes in a binding.
 * What the package does with it is counted.
 */
async function least(bytes) {
  const adapter = await navigator.gpu.requestAdapter()
  const { limits } = await adapter.requestDevice()
  const plain = {}
  for (const name in limits) plain[name] = limits[name]
  // Newer browsers give every device more.
  plain.maxStorageBuffersPerShaderStage = 8
  plain.maxStorageBufferBindingSize = bytes
  window.seen = { devices: [], binding: 0, storage: 0 }
  const replace = (Class, name, get) => Object.defineProperty(Class.prototype, name, { get })
  replace(GPUAdapter, 'limits', () => plain)
  replace(GPUAdapter, 'features', () => new Set())
  replace(GPUDevice, 'limits', () => plain)
  const before = (Class, name, look) => {
    const own = Class.prototype[name]
    Class.prototype[name] = function (given) {
      look(given)
      return own.call(this, given)
    }
  }
  before(GPUAdapter, 'requestDevice', ({ requiredFeatures = [], requiredLimits = {} }) => {
    seen.devices.push({ features: [...requiredFeatures], ...requiredLimits })
  })
  before(GPUDevice, 'createBuffer', ({ size, usage }) => {
    if (usage & GPUBufferUsage.STORAGE) seen.binding = Math.max(seen.binding, size)
  })
  before(GPUDevice, 'createBindGroupLayout', ({ entries }) => {
    const storage = entries.filter(({ buffer }) => buffer?.type?.includes('storage')).length
    seen.storage = Math.max(seen.storage, storage)
  })
}

test('Chromium on a device with the limits of every device, and one that binds less', async (t) => {
  const buffers = []
  // Gate and up, merged, take 320 KiB: they are split where there is less room.
  for (const bytes of [128 << 20, 300 << 10]) {
    await inChromium(onGpu, async (evaluate, page) => {
      await page.evaluate(least, bytes)
      const found = await evaluate(told('webgpu'))
      right(found, onGpu, t)
      buffers.push(found.buffers)
      const { devices, binding, storage } = await page.evaluate(() => window.seen)
      assert.equal(devices.length, 1)
      const [{ features, maxComputeInvocationsPerWorkgroup, maxStorageBufferBindingSize }] = devices
      assert.deepEqual(features, [])
      assert.equal(maxComputeInvocationsPerWorkgroup, 256)
      assert.equal(maxStorageBufferBindingSize, bytes)
      t.diagnostic(`${found.buffers} buffers, the largest of ${binding} bytes; ${storage} at once`)
      assert.ok(binding > 0 && binding <= bytes)
      assert.ok(storage > 0 && storage <= 8)
    })
  }
  assert.ok(buffers[1] > buffers[0], 'weights are split')
})
