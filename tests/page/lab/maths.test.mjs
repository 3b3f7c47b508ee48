// The lab's arithmetic without a browser: counts, ranks and memory against known values and the library.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { near, path, source } from './source.mjs'

describe('counts', () => {
  let c
  before(async () => (c = await source('count')))
  const plain = { factor: -1, convention: 'peft', both: false, whole: false }

  test('how PEFT and LyCORIS split a side', () => {
    for (const [side, factor, pair] of [
      [128, -1, [8, 16]],
      [360, -1, [18, 20]],
      [360, 16, [15, 24]],
      [127, -1, [1, 127]],
      [50257, -1, [29, 1733]],
      [50257, 8, [1, 50257]],
      [11008, -1, [86, 128]],
      [151936, -1, [128, 1187]],
      [2304, -1, [48, 48]],
      [250, 4, [2, 125]],
      [2, 16, [1, 2]],
      [1, -1, [1, 1]],
      [7, 0, [1, 7]],
    ])
      for (const convention of ['peft', 'lycoris'])
        assert.deepEqual(c.factorize(side, factor, convention), pair, `${side}, ${factor}`)
    assert.deepEqual(c.factorize(128, 16, 'peft'), [16, 8])
    assert.deepEqual(c.factorize(128, 16, 'lycoris'), [8, 16])
    assert.deepEqual(c.factorize(12, 4, 'peft'), [4, 3])
  })

  test('worked examples', () => {
    const lokr = (shape, r, more) => {
      const { numbers, bound } = c.countLokr(shape, r, { ...plain, ...more })
      return [numbers, bound]
    }
    assert.equal(c.countLora([1024, 1024], 1).numbers, 2048)
    assert.equal(c.countLora([768, 768], 8).numbers, 12288)
    assert.equal(c.countLoha([768, 768], 8).numbers, 24576)
    assert.equal(c.countLoha([768, 768], 8).bound, 64)
    assert.equal(c.countLoha([24, 24], 8).bound, 24)
    assert.deepEqual(lokr([768, 768], 8), [1088, 192])
    assert.deepEqual(lokr([768, 768], 8, { factor: 8 }), [1600, 64])
    assert.deepEqual(lokr([768, 768], 8, { whole: true }), [1600, 768])
    assert.deepEqual(lokr([1024, 1024], 8, { whole: true }), [2048, 1024])
    assert.deepEqual(lokr([1024, 1024], 8), [1536, 256])
    assert.deepEqual(lokr([1024, 1024], 8, { both: true }), [1024, 64])
    assert.deepEqual(lokr([11008, 4096], 8), [7040, 512])
    assert.deepEqual(lokr([256, 256], 8), [512, 256])
    assert.deepEqual(lokr([127, 127], 4), [1 + 4 * 254, 4])
  })

  test("PEFT's own benchmark: q and v of Llama-3.2-3B", async () => {
    const { MODELS, targeted } = await source('shapes')
    const groups = targeted(
      MODELS.find(({ id }) => id === 'llama3b'),
      'qv',
    )
    const sum = (method) =>
      groups.reduce(
        (n, { shape, times }) =>
          n + times * c.count(method, shape, 32, { ...plain, factor: 4 }).numbers,
        0,
      )
    assert.equal(sum('lora'), 9_175_040)
    assert.equal(sum('loha'), 18_350_080)
    assert.equal(sum('lokr'), 2_294_656)
  })

  test('the library counts the same in the place-name adapters', async () => {
    const { Adapter, init } = await import('../../../dist/node.js')
    await init({ device: 'cpu' })
    for (const [method, r, factor] of [
      ['lora', 4],
      ['loha', 4],
      ['lokr', 8, 4],
    ]) {
      const adapter = await Adapter.load(path(`../../../www/public/places/adapters/it-${method}`))
      for (const module of adapter.modules) {
        const count = c.count(method, module.shape, r, { ...plain, factor: factor ?? -1 })
        assert.equal(count.numbers, module.parameters, module.name)
        assert.equal(count.bound, module.rankBound, module.name)
        assert.deepEqual(
          count.stored.map(({ shape }) => shape.join()).sort(),
          module.tensors.map(({ shape }) => shape.join()).sort(),
        )
      }
      adapter.dispose()
    }
  })

  test('the same budget: LoRA exactly, LoKr at most, the tie at r = 2', () => {
    for (const r of [1, 2, 3, 4, 8]) {
      const { lora, loha, lokr } = c.shares([1024, 1024], r, 'budget', plain)
      assert.equal(lora.count.numbers, loha.count.numbers)
      assert.ok(lokr.count.numbers <= loha.count.numbers)
      assert.equal(Math.sign(loha.count.bound - lora.count.bound), Math.sign(r - 2))
    }
    const { lokr } = c.shares([1024, 1024], 1, 'budget', plain)
    assert.ok(lokr.count.numbers > 3000, `${lokr.count.numbers} of 4096`)
  })

  test('proposition 2: of all pairs that reach R², r1 = r2 = R costs least', () => {
    for (const R of [2, 3, 4, 7]) {
      const least = c.countLoha([64, 48], R).numbers
      for (let r1 = 1; r1 <= R * R; r1++)
        assert.ok(c.countLoha([64, 48], r1, Math.ceil((R * R) / r1)).numbers >= least)
    }
  })
})

describe('singular values', () => {
  let m
  let s
  before(async () => {
    m = await source('matrix')
    s = await source('svd')
  })
  const matrix = (rows) => m.fill(rows.length, rows[0].length, (i, j) => rows[i][j])

  test('of matrices whose values are known', () => {
    near(
      s.singularValues(
        matrix([
          [3, 0],
          [4, 5],
        ]),
      ),
      [Math.sqrt(45), Math.sqrt(5)],
    )
    near(s.singularValues(matrix([[1, 2, 2]])), [3])
    near(s.singularValues(m.zeros(3, 2)), [0, 0])
    // the Hilbert matrix of order 3
    near(
      s.singularValues(m.fill(3, 3, (i, j) => 1 / (i + j + 1))),
      [1.408318927123654, 0.1223270658539058, 0.00268734035577345],
      1e-13,
    )
    // second differences, n = 64: 2 - 2 cos(k pi / 65)
    const laplace = m.fill(64, 64, (i, j) => (i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0))
    near(
      s.singularValues(laplace),
      Array.from({ length: 64 }, (_, k) => 2 - 2 * Math.cos(((64 - k) * Math.PI) / 65)),
    )
  })

  test('through the factors and through the whole product are the same, and reach the bounds', () => {
    const next = m.dice(7)
    const random = (rows, cols) => m.fill(rows, cols, next)
    for (const [rows, cols] of [
      [24, 24],
      [40, 20],
      [20, 40],
    ])
      for (const r of [1, 2, 3, 4]) {
        const [a1, b1, a2, b2] = [
          random(rows, r),
          random(r, cols),
          random(rows, r),
          random(r, cols),
        ]
        const lora = s.ofProduct(a1, b1)
        const whole = s.singularValues(m.multiply(a1, b1))
        near(lora, whole.slice(0, lora.length), 1e-9)
        assert.equal(s.ranks(whole, 1e-9).numerical, r)
        const loha = s.ofHadamard(a1, b1, a2, b2)
        const cells = s.singularValues(m.hadamard(m.multiply(a1, b1), m.multiply(a2, b2)))
        near(loha, cells.slice(0, loha.length), 1e-9)
        assert.equal(s.ranks(cells, 1e-9).numerical, r * r, 'proposition 1, reached')
      }
    const one = random(2, 3)
    const two = m.multiply(random(8, 3), random(3, 6))
    const kron = s.singularValues(m.kronecker(one, two))
    const pairs = s.ofKronecker(s.singularValues(one), s.singularValues(two))
    near(kron.slice(0, pairs.length), pairs, 1e-9)
    assert.equal(s.ranks(kron, 1e-9).numerical, 2 * 3)
  })

  test('three ranks', () => {
    assert.deepEqual(s.ranks([0, 0], 1e-6), { numerical: 0, stable: 0, entropy: 0 })
    near(Object.values(s.ranks([2, 2, 2, 0], 1e-6)), [3, 3, 3])
    near(Object.values(s.ranks([2, 1], 0.6)), [
      1,
      1.25,
      Math.exp(0.8 * Math.log(1.25) + 0.2 * Math.log(5)),
    ])
  })
})

describe('models', () => {
  let shapes
  before(async () => (shapes = await source('shapes')))

  test('the totals follow from the shapes', () => {
    const whole = (id, embeddings, norms) => {
      const model = shapes.MODELS.find((m) => m.id === id)
      const products = model.groups.reduce((n, { shape: [o, i], times }) => n + o * i * times, 0)
      assert.equal(products + embeddings + norms, model.total, id)
    }
    whole('smollm2', 49_152 * 576, 61 * 576)
    whole('qwen', 151_936 * 896, 49 * 896 + 24 * (896 + 2 * 128))
    whole('llama3b', 128_256 * 3072, 57 * 3072)
    whole('llama7b', 2 * 32_000 * 4096, 65 * 4096)
  })

  test("memory: the article's 60 billion numbers, and AdamW", () => {
    assert.equal(shapes.memory(0, 60e9, 4, 1).total, 720e9)
    assert.equal(shapes.memory(0, 60e9, 4, 2).total, 960e9)
    assert.equal(shapes.memory(7e9, 1e6, 2, 2).total, 14e9 + 16e6)
  })

  test('bottlenecks and prefixes', () => {
    const blocks = { count: 2, hidden: 10, kv: 5, context: 100 }
    assert.equal(shapes.bottleneckNumbers(blocks, 3), 2 * 2 * (10 * 3 + 3 + 3 * 10 + 10))
    assert.equal(shapes.prefixNumbers(blocks, 4), 2 * 2 * 5 * 4)
  })
})
