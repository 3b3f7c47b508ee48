// One product in every form: numbers against f64, and plans.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { LokahiError, Model, Product, init } from 'lokahi'

const FORMS = ['base', 'structured', 'merged']
const DTYPES = ['F32', 'F16', 'BF16', 'Q8_0', 'Q4_1']
const METHODS = ['lora', 'loha', 'lokr']

before(() => init({ device: 'cpu' }))

/** Numbers that look random and are the same everywhere. */
const noise = (length) => Float32Array.from({ length }, (_, i) => ((i * 7919) % 2003) / 1001.5 - 1)

test('every form, dtype and method agrees with f64', async () => {
  for (const dtype of DTYPES) {
    for (const method of METHODS) {
      // Whole factors of LoKr, then parts of one; odd heights.
      for (const [shape, rank] of [
        [[45, 64], 8],
        [[70, 96], 2],
      ]) {
        const product = await Product.create({ shape, dtype, method, rank, seed: 5 })
        const x = noise(3 * shape[1])
        for (const form of FORMS) {
          const off = await product.deviation(form, x)
          // Integers of 16 bits stand for the inputs of quantised weights.
          const most = dtype.startsWith('Q') && form !== 'merged' ? 2e-4 : 2e-6
          assert.ok(off < most, `${dtype} ${method} ${shape} ${form}: off by ${off}`)
        }
        const [base, structured, merged] = await Promise.all(
          FORMS.map((form) => product.run(form, x)),
        )
        assert.equal(base.length, 3 * shape[0])
        const change = Math.max(...base.map((y, i) => Math.abs(y - structured[i])))
        assert.ok(
          change > 0.1,
          `${dtype} ${method}: the adapter changes hardly anything: ${change}`,
        )
        assert.notDeepEqual(merged, base)
        product.dispose()
      }
    }
  }
})

test('the same seed gives the same numbers', async () => {
  const run = async (options) => {
    const product = await Product.create({ shape: [20, 32], method: 'loha', rank: 3, ...options })
    return product.run('structured', noise(32))
  }
  assert.deepEqual(await run({ seed: 7 }), await run({ seed: 7 }))
  assert.notDeepEqual(await run({ seed: 7 }), await run({ seed: 8 }))
  assert.notDeepEqual(await run({ seed: 7 }), await run({ seed: 7, method: 'lora' }))
})

test('without a method all forms are the base', async () => {
  const product = await Product.create({ shape: [6, 10] })
  const [base, ...others] = await Promise.all(FORMS.map((form) => product.run(form, noise(10))))
  for (const other of others) assert.deepEqual(other, base)
})

test('time and plan', async () => {
  const product = await Product.create({ shape: [256, 256], method: 'lora' })
  assert.equal(product.backend, 'cpu')
  // The fastest of a few, as other programs may run.
  const fastest = async (options) => {
    const times = []
    for (let i = 0; i < 7; i++) times.push(await product.time('structured', options))
    return Math.min(...times)
  }
  const one = await fastest({ repeats: 256 })
  const many = await fastest({ rows: 64, repeats: 8 })
  assert.ok(one > 0 && many > 8 * one, `${one} ms for one row, ${many} for 64`)
  assert.ok((await product.time('base')) > 0)
  const plan = await product.plan({ rows: 16 })
  assert.ok(FORMS.every((form) => plan.times[form] > 0))
  assert.equal(plan.bytes, 4 * 256 * 256)
  const merges = plan.times.merged < 0.92 * plan.times.structured
  assert.equal(plan.choice, merges ? 'merged' : 'structured')
  assert.match(plan.why, /^merging (saves|costs) \d+ % of the time and takes 0\.3 MB$/)
  assert.deepEqual(await product.plan({ rows: 16 }), plan, 'the device is measured once')
})

test('a model explains what runs best', async () => {
  const model = await Model.fromPretrained('./www/public/places/base/')
  await model.loadAdapter('./www/public/places/adapters/fi-lora/', { name: 'kr' })
  assert.deepEqual(await model.explain(), [])
  model.setAdapters(['kr'])
  const explained = await model.explain({ rows: 16 })
  const names = model.modules.map(({ name }) => name)
  for (const { modules, times, choice, why } of explained) {
    assert.ok(modules.length > 0 && modules.every((name) => names.includes(name)))
    assert.ok(FORMS.every((form) => Number.isFinite(times[form])))
    assert.ok(FORMS.includes(choice) && why.length > 0)
  }
  assert.ok(explained.length >= model.config.layers)
  await assert.rejects(model.explain({ rows: 0 }), refused('BadArgument', /rows/))
})

const refused = (code, place) => (error) => {
  assert.ok(error instanceof LokahiError, String(error))
  assert.equal(error.code, code)
  assert.match(error.message, place)
  return true
}

test('what cannot be is refused by name', async () => {
  const wrong = (options, place) =>
    assert.rejects(Product.create({ shape: [8, 8], ...options }), refused('BadArgument', place))
  await wrong({ shape: [0, 8] }, /shape/)
  await wrong({ shape: [8.5, 8] }, /shape/)
  await wrong({ shape: [2 ** 20, 2 ** 20] }, /shape/)
  await wrong({ shape: [8, 33], dtype: 'Q4_1' }, /multiple of 32/)
  await wrong({ dtype: 'I8' }, /dtype.*I8/)
  await wrong({ method: 'dora' }, /method.*dora/)
  await wrong({ method: 'lora', rank: 9 }, /rank.*9/)
  await wrong({ rank: 0 }, /rank/)
  await wrong({ factor: 1.5 }, /factor/)
  await wrong({ seed: -1 }, /seed/)
  const product = await Product.create({ shape: [8, 8] })
  await assert.rejects(product.run('best', noise(8)), refused('BadArgument', /form.*best/))
  await assert.rejects(product.run('base', noise(7)), refused('BadArgument', /x/))
  await assert.rejects(product.time('base', { rows: 0 }), refused('BadArgument', /rows/))
  await assert.rejects(product.time('base', { repeats: 0 }), refused('BadArgument', /repeats/))
  product.dispose()
  product.dispose()
  await assert.rejects(product.run('base', noise(8)), refused('Disposed', /product/))
})
