// The measured sweep: complete, and its numbers are those that the formulas give.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { near, source } from './source.mjs'

const SHAPES = [
  [128, 128],
  [64, 128],
  [64, 128],
  [128, 128],
  [320, 128],
  [320, 128],
  [128, 320],
]

test('two seeds of 17 settings for each country, counted as the formulas count', async () => {
  const { settingsOf, find, spread } = await source('../budget/sweep')
  const { count } = await source('count')
  for (const country of ['it', 'jp']) {
    const all = settingsOf(country)
    assert.equal(all.length, 17)
    for (const { method, r, factor, numbers, losses } of all) {
      assert.equal(losses.length, 2)
      const lokr = { factor: factor ?? -1, convention: 'peft', both: false, whole: false }
      const layer = SHAPES.reduce((n, shape) => n + count(method, shape, r, lokr).numbers, 0)
      assert.equal(4 * layer, numbers, `${method} ${r} ${factor}`)
    }
  }
  const italian = settingsOf('it')
  near([find(italian, 'lora', 2).mean, find(italian, 'lora', 8).mean], [1.8355, 1.76315])
  near([spread(italian)], [1.9789 - 1.9605])
})
