// The package in Node, as users import it: the same model, names and errors as in a browser, on the CPU.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Adapter, LokahiError, Model, init } from 'lokahi'

const base = './www/public/places/base'
const folder = (name) => `./www/public/places/adapters/${name}`
const goldens = JSON.parse(await readFile('./tests/fixtures/places/goldens.json', 'utf8'))
const golden = (name, prefix) => goldens.models[name][prefix].text

async function text(pieces) {
  let all = ''
  for await (const piece of pieces) all += piece
  return all
}

/** An error with this code, whose message names the place. */
const refused = (code, place) => (error) => {
  assert.ok(error instanceof LokahiError, String(error))
  assert.equal(error.code, code)
  assert.match(error.message, place)
  return true
}

test('before init every call is refused by name', async () => {
  await assert.rejects(Model.fromPretrained(base), refused('NotInitialised', /init/))
  await assert.rejects(Adapter.load(folder('fi-lora')), refused('NotInitialised', /init/))
})

test('init chooses the CPU and says why; twice at once is fine', async () => {
  const [first, second] = await Promise.all([init(), init({ device: 'auto' })])
  assert.deepEqual(first, second)
  assert.equal(first.backend, 'cpu')
  assert.match(first.reason, /WebGPU/)
  await assert.rejects(init({ device: 'webgpu' }), refused('Device', /WebGPU/))
  await assert.rejects(init({ device: 'tpu' }), refused('BadArgument', /tpu/))
})

test('names equal the goldens, adapters swap, merge, unmerge and go', async () => {
  await init()
  const seen = []
  const model = await Model.fromPretrained(base, { onProgress: ({ status }) => seen.push(status) })
  assert.equal(seen.at(-1), 'ready')
  assert.equal(model.parameters, 709_248)
  assert.equal(model.modules.length, 29)
  assert.equal(await text(model.generate('K')), golden('base', 1).slice(1))

  for (const [name, parameters] of [
    ['fi-lora', 35_840],
    ['fi-loha', 71_680],
    ['fi-lokr', 18_368],
  ]) {
    const adapter = await model.loadAdapter(folder(name), { name })
    assert.equal(adapter.parameters, parameters)
    assert.equal(adapter.modules.length, 28)
    model.setAdapters([name])
    assert.equal(await text(model.generate('San ')), golden(name, 2).slice(4))
    model.mergeAdapters()
    assert.equal(await text(model.generate('San ')), golden(name, 2).slice(4))
    assert.throws(() => model.disableAdapters(), refused('Merged', new RegExp(name)))
    model.unmergeAdapters()
  }
  assert.deepEqual(model.adapters, ['fi-lora', 'fi-loha', 'fi-lokr'])
  model.disableAdapters()
  assert.equal(await text(model.generate('K')), golden('base', 1).slice(1))
  model.deleteAdapter('fi-loha')
  assert.throws(() => model.setAdapters(['fi-loha']), refused('UnknownAdapter', /fi-loha/))
  assert.throws(() => model.setAdapters(['fi-lora'], [NaN]), refused('BadArgument', /strengths/))
  assert.throws(() => model.setAdapters(['fi-lora'], []), refused('BadArgument', /strengths/))

  const { logits, shape } = await model.forward([1, 21])
  assert.deepEqual(shape, [2, 156])
  assert.equal(logits.length, 312)
  await assert.rejects(model.forward([1, -1]), refused('BadArgument', /-1/))
  model.dispose()
  model.dispose()
  await assert.rejects(model.forward([1]), refused('Disposed', /model/))
})

test('the same seed gives the same names, another seed others', async () => {
  await init()
  const model = await Model.fromPretrained(base)
  const name = (seed) => text(model.generate('', { temperature: 1, topP: 0.95, seed }))
  const names = await Promise.all([1, 2, 3, 4].map(name))
  assert.deepEqual(await Promise.all([1, 2, 3, 4].map(name)), names)
  assert.ok(new Set(names).size > 1, names.join(', '))
  const bad = text(model.generate('', { temperature: -1 }))
  await assert.rejects(bad, refused('BadArgument', /temperature/))
  model.dispose()
})

test('abort rejects with AbortError and the model goes on', async () => {
  await init()
  await assert.rejects(Model.fromPretrained(base, { signal: AbortSignal.abort() }), {
    name: 'AbortError',
  })
  const model = await Model.fromPretrained(base)
  const stop = new AbortController()
  const pieces = model.generate('', { signal: stop.signal })
  await pieces.next()
  stop.abort()
  await assert.rejects(text(pieces), { name: 'AbortError' })
  assert.equal(await text(model.generate('K')), golden('base', 1).slice(1))
  model.dispose()
})

test('an adapter alone: modules, spectrum, files from memory, errors', async () => {
  await init()
  const adapter = await Adapter.load(folder('it-lokr'))
  const module = 'model.layers.0.mlp.down_proj'
  const info = adapter.modules.find(({ name }) => name === module)
  assert.equal(info.method, 'LoKr')
  assert.deepEqual(info.shape, [128, 320])
  assert.equal(info.parameters, 4 * 4 + 32 * 8 + 8 * 80)
  assert.equal(info.rankBound, 32)
  const spectrum = await adapter.spectrum(module)
  assert.equal(spectrum.singularValues.length, 32)
  assert.ok(spectrum.numericalRank <= 32 && spectrum.stableRank <= spectrum.entropyRank)
  assert.equal((await adapter.spectrum(module, { threshold: 1 })).numericalRank, 0)
  await assert.rejects(adapter.spectrum('nowhere'), refused('BadArgument', /nowhere/))
  adapter.dispose()
  await assert.rejects(adapter.spectrum(module), refused('Disposed', /adapter/))

  const files = {
    'adapter_config.json': await readFile(`${folder('it-lora')}/adapter_config.json`),
    'adapter_model.safetensors': await readFile(`${folder('it-lora')}/adapter_model.safetensors`),
  }
  assert.equal((await Adapter.load(files)).parameters, 35_840)
  const page = new TextEncoder().encode('<!DOCTYPE html><title>Not found</title>')
  await assert.rejects(
    Adapter.load({ ...files, 'adapter_model.safetensors': page }),
    refused('BadFile', /adapter_model\.safetensors.*web page/),
  )
  const half = files['adapter_model.safetensors'].subarray(0, 100_000)
  await assert.rejects(
    Adapter.load({ ...files, 'adapter_model.safetensors': half }),
    refused('BadFile', /adapter_model\.safetensors/),
  )
  await assert.rejects(Adapter.load({}), refused('MissingFile', /adapter_model\.safetensors/))
  await assert.rejects(Adapter.load('./nowhere'), refused('MissingFile', /nowhere/))
})
