// Changes by their factors: explained cells, spectra and gradients against other ways to the same.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { before, describe, test } from 'node:test'
import { near, path, source } from './source.mjs'

const METHODS = ['lora', 'loha', 'lokr']
const lokr = { factor: -1, convention: 'peft', both: false, whole: false }

describe('changes', () => {
  let change
  let count
  let matrix
  let svd
  before(async () => {
    ;[change, count, matrix, svd] = await Promise.all(
      ['change', 'count', 'matrix', 'svd'].map(source),
    )
  })
  /** every form: LoKr with a whole and a low-rank second factor, and both low-rank */
  const all = () =>
    [
      ...METHODS.map((method) => [method, [24, 18], 2, lokr]),
      ['lokr', [24, 24], 4, lokr],
      ['lokr', [144, 144], 2, { ...lokr, both: true }],
    ].map(([method, shape, r, options]) =>
      change.randomChange(method, count.count(method, shape, r, options), 5),
    )

  test('a cell explained has the value of the cell, at every step', () => {
    for (const c of all())
      for (let first = 0; first <= change.steps(c); first += c.method === 'lokr' ? 7 : 1) {
        const dW = change.materialise({ ...c, scale: 0.5 }, first)
        for (const [i, j] of [
          [0, 0],
          [7, 9],
          [dW.rows - 1, dW.cols - 1],
        ]) {
          const cell = change.explain({ ...c, scale: 0.5 }, i, j, first)
          near([cell.value], [matrix.at(dW, i, j)], 1e-12)
        }
      }
  })

  test('the spectrum through the factors is that of the whole, and dW varies by about 1', () => {
    for (const c of all()) {
      const dW = change.materialise(c)
      const whole = svd.singularValues(dW)
      const sigma = change.spectrum(c)
      near(sigma, whole.slice(0, sigma.length), 1e-8)
      assert.equal(svd.ranks(whole, 1e-9).numerical, c.bound, 'random factors reach the bound')
      const variance = dW.data.reduce((sum, x) => sum + x * x, 0) / dW.data.length
      assert.ok(variance > 0.1 && variance < 6, `${c.method} ${variance}`)
    }
  })

  test('gradients agree with differences', async () => {
    const fit = await source('fit')
    for (const c of all()) {
      const target = matrix.fill(...sizes(c), matrix.dice(9))
      const half = (c) => {
        const dW = change.materialise(c)
        return dW.data.reduce((sum, x, i) => sum + (x - target.data[i]) ** 2, 0) / 2
      }
      const dW = change.materialise(c)
      const error = { ...dW, data: dW.data.map((x, i) => x - target.data[i]) }
      for (const [name, gradient] of Object.entries(fit.gradients(c, error))) {
        const k = Math.min(3, gradient.data.length - 1)
        const moved = (by) => {
          const factor = { ...c.factors[name], data: c.factors[name].data.slice() }
          factor.data[k] += by
          return half({ ...c, factors: { ...c.factors, [name]: factor } })
        }
        const difference = (moved(1e-5) - moved(-1e-5)) / 2e-5
        near([gradient.data[k]], [difference], 1e-5 * (1 + Math.abs(difference)))
      }
    }
    function sizes(c) {
      const { rows, cols } = change.materialise(c)
      return [rows, cols]
    }
  })

  test('a fit comes near the best LoRA, which is the truncated decomposition', async () => {
    const fit = await source('fit')
    const target = fit.picture('circle', 24, 1)
    const run = new fit.Fit('lora', count.countLora([24, 24], 3), target, 1)
    for (let k = 0; k < fit.FIT_STEPS; k++) run.step()
    const sigma = svd.singularValues(target)
    const power = (values) => values.reduce((sum, x) => sum + x * x, 0)
    const best = power(sigma.slice(3)) / power(sigma)
    const reached = run.errors.at(-1)
    assert.ok(reached >= best - 1e-9 && reached < best * 1.1 + 1e-4, `${reached}, best ${best}`)
  })
})

describe('numbers of a file', () => {
  test('half precision', async () => {
    const { half } = await source('tensors')
    assert.deepEqual([0x0000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x8400].map(half), [
      0,
      1,
      -2,
      65504,
      2 ** -24,
      -(2 ** -14),
    ])
  })

  test('the page’s spectra of the place-name adapters are the library’s', async () => {
    const { Adapter, init } = await import('../../../dist/node.js')
    const { readTensors } = await source('tensors')
    const { spectrum } = await source('change')
    await init({ device: 'cpu' })
    for (const method of METHODS) {
      const folder = path(`../../../www/public/places/adapters/it-${method}`)
      const adapter = await Adapter.load(folder)
      const bytes = await readFile(`${folder}/adapter_model.safetensors`)
      const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
      for (const module of [adapter.modules[0], adapter.modules.at(-1)]) {
        const keys = module.tensors.map(({ name }) => `base_model.model.${module.name}.${name}`)
        const found = readTensors(file, keys)
        const factors = Object.fromEntries(
          keys.map((key) => [/(?:lora|hada|lokr)_(\w+?)(\.weight)?$/.exec(key)[1], found.get(key)]),
        )
        const sigma = spectrum({ method, factors, scale: module.scale, bound: module.rankBound })
        const { singularValues } = await adapter.spectrum(module.name)
        near(sigma, [...singularValues.slice(0, sigma.length)], 1e-4 * singularValues[0])
      }
      adapter.dispose()
    }
  })
})
