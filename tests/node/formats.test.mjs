// One adapter in every format: on a model it does the same, and through the tools it comes back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Adapter, Base, LokahiError, Model, combine, init } from 'lokahi'

const base = './www/public/places/base'
const folder = (name) => `./www/public/places/adapters/${name}`

const text = async (model) => {
  let all = ''
  for await (const piece of model.generate('San ', { maxTokens: 24 })) all += piece
  return all
}

test('LyCORIS and GGUF files run on a model as the PEFT folder does', async () => {
  await init()
  const model = await Model.fromPretrained(base)
  for (const [name, formats] of [
    ['fi-lora', ['peft', 'lycoris', 'gguf']],
    ['fi-loha', ['peft', 'lycoris']],
    ['fi-lokr', ['peft', 'lycoris']],
  ]) {
    await model.loadAdapter(folder(name), { name })
    model.setAdapters([name])
    const { logits: wanted } = await model.forward([5, 6, 7])
    const words = await text(model)
    const adapter = await Adapter.load(folder(name))
    for (const format of formats) {
      const { files } = await adapter.save(format, { base: await Base.load(base) })
      const loaded = await model.loadAdapter(files, { name: format })
      assert.equal(loaded.modules.length, 28)
      model.setAdapters([format])
      const { logits } = await model.forward([5, 6, 7])
      const largest = wanted.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
      logits.forEach((v, i) =>
        assert.ok(Math.abs(v - wanted[i]) <= 1e-5 * largest, `${name} ${format} ${i}`),
      )
      assert.equal(await text(model), words, `${name} as ${format}`)
      model.setAdapters([])
      model.deleteAdapter(format)
    }
  }
})

test('what a format cannot hold is a named error, or a LoRA of the nearest directions', async () => {
  await init()
  const adapter = await Adapter.load(folder('fi-loha'))
  const target = { base: await Base.load(base) }
  const unsupported = (error) => error instanceof LokahiError && error.code === 'Unsupported'
  await assert.rejects(adapter.save('gguf', target), unsupported)
  const { files, modules } = await adapter.resize({ ...target, rank: 8, format: 'gguf' })
  const again = await Adapter.load(files)
  assert.equal(again.format, 'GGUF')
  for (const { name, rank, rankBefore, retainedEnergy, largestDropped } of modules) {
    const { singularValues, energy } = await adapter.spectrum(name)
    assert.deepEqual([rank, rankBefore], [8, 4], name)
    assert.ok(Math.abs(retainedEnergy - energy[7]) < 1e-9, name)
    assert.ok(Math.abs(largestDropped - singularValues[8]) <= 1e-9 * singularValues[0], name)
  }
})

test('a sum of two adapters is the model with both', async () => {
  await init()
  const model = await Model.fromPretrained(base)
  const [a, b] = [await Adapter.load(folder('fi-lora')), await Adapter.load(folder('it-lora'))]
  await model.loadAdapter(a, { name: 'a' })
  await model.loadAdapter(b, { name: 'b' })
  model.setAdapters(['a', 'b'], [0.7, -0.3])
  const { logits: wanted } = await model.forward([5, 6, 7])
  const parts = [
    { adapter: a, weight: 0.7 },
    { adapter: b, weight: -0.3 },
  ]
  for (const options of [{}, { how: 'svd', rank: 8 }]) {
    const { files } = await combine(parts, options)
    await model.loadAdapter(files, { name: 'sum' })
    model.setAdapters(['sum'])
    const { logits } = await model.forward([5, 6, 7])
    const largest = wanted.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
    logits.forEach((v, i) => assert.ok(Math.abs(v - wanted[i]) <= 1e-4 * largest, `${i}`))
    model.setAdapters([])
    model.deleteAdapter('sum')
  }
})

test('a file of two gigabytes is known from its header', async () => {
  await init()
  // 700 modules of LoRA with holes for numbers.
  const tensors = {}
  let at = 0
  for (let i = 0; i < 700; i++) {
    for (const [part, shape] of [
      ['lora_down.weight', [112, 5120]],
      ['lora_up.weight', [1280, 112]],
      ['alpha', []],
    ]) {
      const bytes = 4 * shape.reduce((n, d) => n * d, 1)
      tensors[`lora_unet_m${i}.${part}`] = { dtype: 'F32', shape, data_offsets: [at, at + bytes] }
      at += bytes
    }
  }
  const json = new TextEncoder().encode(JSON.stringify(tensors))
  const head = new Uint8Array(8 + json.length)
  new DataView(head.buffer).setBigUint64(0, BigInt(json.length), true)
  head.set(json, 8)
  const { mkdtemp, open, rm } = await import('node:fs/promises')
  const { tmpdir } = await import('node:os')
  const { join } = await import('node:path')
  const place = await mkdtemp(join(tmpdir(), 'lokahi-'))
  try {
    const path = join(place, 'sparse.safetensors')
    const file = await open(path, 'w')
    await file.write(head)
    await file.truncate(head.length + at)
    await file.close()
    assert.ok(head.length + at > 2e9)
    const memory = process.memoryUsage().rss
    const start = performance.now()
    const adapter = await Adapter.load(path)
    const report = adapter.inspect()
    const [ms, grown] = [performance.now() - start, process.memoryUsage().rss - memory]
    console.log(`${Math.round(ms)} ms, ${Math.round(grown / 1e6)} MB more`)
    assert.equal(report.modules.length, 700)
    assert.equal(report.parameters, 700 * 112 * (5120 + 1280))
    assert.ok(ms < 500, `${ms} ms`)
    assert.ok(grown < 50e6, `${grown} bytes`)
  } finally {
    await rm(place, { recursive: true })
  }
})
