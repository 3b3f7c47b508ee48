// Product on WebGPU in a real Chromium, against f64 and against the package on the CPU; and what it says
// about the forms on each device. Through the worker: worker.test.mjs.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Product, init } from 'lokahi'
import { openPackage } from './package.mjs'

const FORMS = ['base', 'structured', 'merged']
const DTYPES = ['F32', 'F16', 'BF16', 'Q8_0', 'Q4_1']
const METHODS = ['lora', 'loha', 'lokr']
/** Numbers that look random and are the same everywhere. */
const noise = (length) => Float32Array.from({ length }, (_, i) => ((i * 7919) % 2003) / 1001.5 - 1)

let opened
before(async () => {
  await init({ device: 'cpu' })
  opened = await openPackage({ webgpu: true })
  await opened.page.evaluate(async () => {
    const { init } = await window.lokahi
    await init({ device: 'webgpu' })
  })
})
after(() => opened?.close())

/** All forms of a product on the page's device. */
const forms = (options, x) =>
  opened.page.evaluate(
    async ([options, x, forms]) => {
      const { Product } = await window.lokahi
      const product = await Product.create(options)
      const given = Float32Array.from(x)
      const found = { backend: product.backend }
      for (const form of forms)
        found[form] = {
          y: [...(await product.run(form, given))],
          off: await product.deviation(form, given),
        }
      product.dispose()
      return found
    },
    [options, [...x], FORMS],
  )

test('every form, dtype and method agrees with f64 and with the CPU', async () => {
  for (const dtype of DTYPES)
    for (const method of METHODS)
      // Heights that fit no tile; whole factors of LoKr, then parts of one.
      for (const [shape, rank, rows] of [
        [[45, 64], 8, 1],
        [[70, 96], 2, 5],
      ]) {
        const options = { shape, dtype, method, rank, seed: 5 }
        const what = `${dtype} ${method} ${shape}, ${rows} rows`
        const x = noise(rows * shape[1])
        const found = await forms(options, x)
        assert.equal(found.backend, 'webgpu')
        const product = await Product.create(options)
        for (const form of FORMS) {
          const { y, off } = found[form]
          assert.ok(off < 2e-6, `${what}, ${form}: off by ${off}`)
          const cpu = await product.run(form, x)
          assert.equal(y.length, cpu.length)
          const largest = Math.max(...cpu.map(Math.abs))
          const apart = Math.max(...cpu.map((value, i) => Math.abs(value - y[i]))) / largest
          // On the CPU, integers of 16 bits stand for the inputs of quantised weights.
          const most = dtype.startsWith('Q') && form !== 'merged' ? 2e-4 : 4e-6
          assert.ok(apart < most, `${what}, ${form}: ${apart} from the CPU`)
        }
        product.dispose()
      }
})

test('a plan of each device, in milliseconds of that device', async () => {
  const options = { shape: [256, 256], method: 'lora' }
  const plans = await opened.page.evaluate(async (options) => {
    const { Product } = await window.lokahi
    const all = {}
    for (const device of ['webgpu', 'cpu']) {
      const product = await Product.create({ ...options, device })
      const before = performance.now()
      const plan = await product.plan({ rows: 16 })
      const first = performance.now() - before
      const again = await product.plan({ rows: 16 })
      const took = performance.now() - before - first
      const ms = await product.time('base', { rows: 16 })
      all[device] = { backend: product.backend, plan, again, first, took, ms }
      product.dispose()
    }
    return all
  }, options)
  for (const [device, { backend, plan, again, first, took, ms }] of Object.entries(plans)) {
    assert.equal(backend, device)
    assert.ok(FORMS.every((form) => plan.times[form] > 0))
    assert.equal(plan.bytes, 4 * 256 * 256)
    const merges = plan.times.merged < 0.92 * plan.times.structured
    assert.equal(plan.choice, merges ? 'merged' : 'structured')
    assert.deepEqual(again, plan, `${device} is measured once`)
    assert.ok(took < first / 4, `${device}: ${first} ms at first, then ${took}`)
    assert.ok(ms > 0)
  }
  assert.notDeepEqual(plans.webgpu.plan.times, plans.cpu.plan.times)
})

test('rows and seeds: a product is written anew for each', async () => {
  const [one, three, again, other] = await opened.page.evaluate(
    async (x) => {
      const { Product } = await window.lokahi
      const create = (seed) => Product.create({ shape: [20, 32], method: 'loha', rank: 3, seed })
      const [a, b] = [await create(7), await create(8)]
      const run = async (product, rows) => [
        ...(await product.run('structured', Float32Array.from(x.slice(0, rows * 32)))),
      ]
      const found = [await run(a, 1), await run(a, 3), await run(a, 1), await run(b, 1)]
      a.dispose()
      b.dispose()
      return found
    },
    [...noise(96)],
  )
  assert.equal(three.length, 3 * one.length)
  assert.deepEqual(again, one)
  assert.notDeepEqual(other, one)
  const largest = Math.max(...one.map(Math.abs))
  one.forEach((value, i) => assert.ok(Math.abs(value - three[i]) < 1e-5 * largest))
})
