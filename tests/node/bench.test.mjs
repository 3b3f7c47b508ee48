// The bench itself: what it compares and how it sums up. Its peers need a browser.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as lokahi from 'lokahi'
import { difference, interleaved } from '../../benches/browser/measure.js'
import { products } from '../../benches/browser/products.js'
import { productTable } from '../../benches/tables.mjs'

/** `left right^T`, row by row. */
function product(left, right) {
  const [[rows, inputs], [outputs]] = [left.shape, right.shape]
  const data = new Float32Array(rows * outputs)
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < outputs; j++) {
      let sum = 0
      for (let k = 0; k < inputs; k++) sum += left.data[i * inputs + k] * right.data[j * inputs + k]
      data[i * outputs + j] = sum
    }
  }
  return { shape: [rows, outputs], data }
}

function transposed({ shape: [rows, columns], data }) {
  const other = data.map((_, at) => data[(at % rows) * columns + Math.floor(at / rows)])
  return { shape: [columns, rows], data: other }
}

const deltas = {
  lora: (x, { a, b }) => product(product(x, a), b),
  loha: (x, { w1_a, w1_b, w2_a, w2_b }) => {
    const [first, second] = [product(w1_a, transposed(w1_b)), product(w2_a, transposed(w2_b))]
    return product(x, { ...first, data: first.data.map((v, at) => v * second.data[at]) })
  },
  // w1 X w2^T for each row, as a matrix X.
  lokr: (x, { w1, w2 }) => {
    const [[rows], [ol, im], [ok, in_n]] = [x, w1, w2].map(({ shape }) => shape)
    const data = []
    for (let t = 0; t < rows; t++) {
      const part = { shape: [im, in_n], data: x.data.slice(t * im * in_n, (t + 1) * im * in_n) }
      data.push(...product(product(w1, transposed(part)), w2).data)
    }
    return { shape: [rows, ol * ok], data: Float32Array.from(data) }
  },
}

/** A peer that is off by so much in its last number. */
const peer = (wrong) => ({
  name: 'plain',
  about: 'plain JavaScript',
  async product({ method, x, weight, factors }) {
    const compute = () => {
      const parts = [weight && product(x, weight), method && deltas[method](x, factors)]
      const [first, second] = parts.filter(Boolean).map(({ data }) => data)
      return second ? first.map((v, at) => v + second[at]) : first
    }
    return {
      async run(times) {
        for (let i = 0; i < times; i++) compute()
      },
      async read() {
        const y = compute()
        y[y.length - 1] += wrong
        return y
      },
      dispose() {},
    }
  },
})

const options = { device: 'cpu', rounds: 3, shapes: [[24, 64]], rows: [3] }

test('every cell is compared, timed and in the table', async () => {
  const told = []
  const found = await products(lokahi, {
    ...options,
    peers: [peer(0)],
    progress: (text) => told.push(text),
  })
  assert.equal(found.cells.length, 5)
  assert.match(told[4], /^5 of 5: 24x64, 3 rows, LoKr f 8, /)
  for (const { kind, found: candidates } of found.cells) {
    const names = candidates.map(({ who, what }) => `${who} ${what}`)
    const one = ['Lokahi base', 'plain base']
    const more = ['Lokahi base', 'Lokahi both', 'Lokahi merged', 'plain delta', 'plain both']
    assert.deepEqual(names, kind === 'base' ? one : [...more, 'Lokahi delta'])
    for (const { all, median, min, max } of candidates) {
      assert.equal(all.length, 3)
      assert.ok(min <= median && median <= max)
    }
  }
  // A head, the cells, an empty line, a head, the methods, an empty line, the plan.
  assert.equal(productTable(found).length, 1 + 1 + 4 * 2 + 1 + 1 + 9 + 2)
  assert.match(productTable(found).at(-1), /in \d of 4 cells$/)
})

test('a peer that computes something else is refused', async () => {
  const run = products(lokahi, { ...options, only: '3 rows, LoHa', peers: [peer(0.1)] })
  await assert.rejects(run, /^Error: plain, delta, 24x64, 3 rows, LoHa r 8: off by 0\.0/)
})

test('a name that no cell has is refused', async () => {
  await assert.rejects(products(lokahi, { ...options, only: 'DoRA' }), /no cell has 'DoRA'/)
})

test('candidates take turns, forwards and backwards, and may rest early', async () => {
  const order = []
  const candidate = (who, rounds) => ({
    who,
    rounds,
    run: async (round) => order.push(who) && round,
  })
  const found = await interleaved([candidate('a'), candidate('b', 2), candidate('c')], 3)
  assert.equal(order.join(''), 'abccbaac')
  assert.deepEqual(
    found.map(({ who, median, all }) => [who, median, all]),
    [
      ['a', 1, [0, 1, 2]],
      ['b', 0.5, [0, 1]],
      ['c', 1, [0, 1, 2]],
    ],
  )
})

test('a difference is of the same round, and noise is told', () => {
  const less = { median: 20, all: [10, 20, 30] }
  const clear = difference({ all: [15, 26, 35] }, less)
  assert.deepEqual([clear.median, clear.min, clear.max], [5, 5, 6])
  // Half a per cent of the base: a tick of the clock.
  assert.equal(clear.noise, 0.1)
  assert.equal(difference({ all: [0, 20, 50] }, less).noise, 10)
})

test('the table has the ratio to the best peer, and at least that where ours is noise', () => {
  const times = (who, what, median, more) => ({
    who,
    what,
    median,
    min: median,
    max: median,
    ...more,
  })
  const found = [
    times('Lokahi', 'both', 2),
    times('Lokahi', 'merged', 1.5),
    times('Lokahi', 'delta', 0.01, { noise: 0.1 }),
    times('fast', 'delta', 3),
    times('fast', 'both', 5),
    times('slow', 'delta', 400),
    times('slow', 'both', 4000),
  ]
  const cells = ['both', 'merged'].map((choice) => ({
    ...{ shape: [8, 16], rows: 128, kind: 'LoRA r 8', found },
    choice,
  }))
  const table = productTable({ cells })
  const [head, delta, both, , , , , least] = table.map((line) => line.split(/ {2,}/))
  assert.deepEqual(head.slice(4), ['Lokahi', 'Lokahi merged', 'fast', 'slow', 'best peer / Lokahi'])
  assert.deepEqual(delta.slice(2), [
    ...['LoRA r 8', 'delta', '< 0.100'],
    ...['3.00 (3.00 to 3.00)', '400 (400 to 400)', '> 30.0'],
  ])
  assert.deepEqual(both.slice(3, 6), ['base + delta', '2.00 (2.00 to 2.00)', '1.50 (1.50 to 1.50)'])
  assert.equal(both.at(-1), '2.50')
  assert.deepEqual(least, ['LoRA r 8, delta', '30.0'])
  // 2 is a third more than 1.5.
  assert.equal(table.at(-1), 'the plan: within 10 % of the faster form in 1 of 2 cells')
})
