// Both ends of lokahi/worker on a channel: what crosses, and as what it arrives.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Adapter, Model, saveMetadata } from 'lokahi'
import { LokahiError, startWorker, transfer } from 'lokahi/worker'
import { serve } from 'lokahi/worker-scope'

const base = './www/public/places/base'
const folder = (name) => `./www/public/places/adapters/${name}`
const goldens = JSON.parse(await readFile('./tests/fixtures/places/goldens.json', 'utf8'))
const golden = (name, prefix) => goldens.models[name][prefix].text

/** Lokahi at the other end, until the test is over. */
async function start(t) {
  const { port1, port2 } = new MessageChannel()
  serve(port2)
  const lokahi = await startWorker({ device: 'cpu', worker: port1 })
  t.after(() => lokahi.terminate())
  return lokahi
}

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

test('a model has the same words, and its getters follow', async (t) => {
  const lokahi = await start(t)
  assert.deepEqual([lokahi.backend, lokahi.device], ['cpu', ''])
  assert.match(lokahi.reason, /CPU/)
  const seen = []
  const onProgress = ({ status }) => seen.push(status)
  const model = await lokahi.Model.fromPretrained(base, { onProgress })
  assert.equal(seen.at(-1), 'ready')
  assert.equal(model.parameters, 709_248)
  assert.equal(model.config.vocabularySize, 156)
  assert.equal(model.modules.length, 29)
  assert.deepEqual([model.backend, model.adapters, model.merged], ['cpu', [], false])

  const adapter = await model.loadAdapter(folder('fi-loha'), { name: 'fi' })
  assert.equal(adapter.parameters, 71_680)
  assert.deepEqual(model.adapters, ['fi'])
  // Nothing waits: messages keep their order.
  model.setAdapters(['fi'])
  model.mergeAdapters()
  assert.equal(await text(model.generate('San ')), golden('fi-loha', 2).slice(4))
  assert.equal(model.merged, true)
  await assert.rejects(model.deleteAdapter('fi'), refused('Merged', /fi/))
  await model.unmergeAdapters()
  assert.equal(model.merged, false)
  await model.deleteAdapter('fi')
  assert.deepEqual(model.adapters, [])

  const { tokenizer } = model
  const ids = await tokenizer.encode('San ')
  assert.equal(await tokenizer.decode(ids), 'San ')
  assert.equal('detokenizer' in tokenizer || 'core' in model, false)
})

test('several calls at once, and the same numbers as without a worker', async (t) => {
  const lokahi = await start(t)
  const model = await lokahi.Model.fromPretrained(base)
  const near = await Model.fromPretrained(base)
  const names = (model) =>
    Promise.all([1, 2, 3].map((seed) => text(model.generate('', { temperature: 1, seed }))))
  assert.deepEqual(await names(model), await names(near))
  assert.deepEqual(await model.forward([1, 21]), await near.forward([1, 21]))
})

test('adapters without a model: measured, resolved, saved, resized, combined', async (t) => {
  const lokahi = await start(t)
  const near = await Adapter.load(folder('it-lokr'))
  const adapter = await lokahi.Adapter.load(folder('it-lokr'))
  assert.deepEqual(await adapter.inspect(), near.inspect())
  assert.deepEqual(adapter.modules, near.modules)
  const { name } = adapter.modules[0]
  assert.deepEqual(await adapter.spectrum(name), await near.spectrum(name))
  assert.deepEqual(await adapter.findings(name), [])
  const saved = await adapter.save('peft')
  assert.deepEqual(saved, await near.save('peft'))

  const counts = []
  const onModule = (done, total) => counts.push([done, total])
  const { modules } = await adapter.resize({ rank: 2, onModule })
  assert.equal(modules.length, 28)
  assert.deepEqual(counts.at(-1), [28, 28])
  const other = await lokahi.Adapter.load(folder('it-lora'))
  const parts = [adapter, other].map((adapter) => ({ adapter, weight: 0.5 }))
  const combined = await lokahi.combine(parts, { how: 'svd', rank: 4 })
  assert.ok(combined.files['adapter_model.safetensors'].length > 0)

  // Loaded as it is, and named by a base: both handles are of one adapter.
  const model = await lokahi.Model.fromPretrained(base)
  assert.equal((await model.loadAdapter(adapter, { name: 'it' })).parameters, 18_368)
  const lycoris = await adapter.save('lycoris')
  const kohya = await lokahi.Adapter.load(lycoris.files)
  const before = kohya.modules[0].name
  await kohya.resolve(await lokahi.Base.load(base))
  assert.notEqual(kohya.modules[0].name, before)
  assert.equal(await kohya.retain(name), 27)
  assert.deepEqual(
    kohya.modules.map((module) => module.name),
    [name],
  )
})

test('bytes are copied, and move only when told; a part of a buffer goes alone', async (t) => {
  const lokahi = await start(t)
  const names = ['adapter_config.json', 'adapter_model.safetensors']
  const read = async (name) => [name, await readFile(`${folder('fi-lora')}/${name}`)]
  const files = Object.fromEntries(await Promise.all(names.map(read)))
  const model = await lokahi.Model.fromPretrained(base)
  await model.loadAdapter(files, { name: 'copied' })
  const buffer = new ArrayBuffer(1 << 20)
  const config = new Uint8Array(buffer, 100, files[names[0]].length)
  config.set(files[names[0]])
  const whole = new Uint8Array(files[names[1]]).buffer
  await model.loadAdapter({ [names[0]]: config, [names[1]]: whole }, { name: 'part' })
  assert.deepEqual([buffer.byteLength, whole.byteLength > 0], [1 << 20, true])
  await model.loadAdapter(transfer({ ...files, [names[1]]: whole }), { name: 'moved' })
  assert.equal(whole.byteLength, 0)
  assert.deepEqual(model.adapters, ['copied', 'part', 'moved'])

  const { logits } = await model.forward([1])
  assert.equal(logits.buffer.byteLength, logits.byteLength)
})

test('nothing in a file is taken for a message', async (t) => {
  const lokahi = await start(t)
  const near = await Adapter.load(folder('fi-lora'))
  const metadata = { lokahi: 'callback', is: 'handle', then: 'x' }
  const chunks = []
  await saveMetadata(near, metadata, { write: async (chunk) => void chunks.push(chunk) })
  const config = await readFile(`${folder('fi-lora')}/adapter_config.json`)
  const files = {
    'adapter_config.json': config,
    'adapter_model.safetensors': Buffer.concat(chunks),
  }
  const adapter = await lokahi.Adapter.load(files)
  assert.deepEqual(adapter.metadata, metadata)
  assert.deepEqual((await adapter.inspect()).metadata, metadata)
})

test('errors keep class, name, code, message and cause', async (t) => {
  const lokahi = await start(t)
  await assert.rejects(lokahi.Model.fromPretrained('./nowhere'), refused('MissingFile', /nowhere/))
  await assert.rejects(lokahi.Adapter.load(3), refused('BadArgument', /source/))
  const model = await lokahi.Model.fromPretrained(base)
  await assert.rejects(model.setAdapters(['who']), refused('UnknownAdapter', /who/))
  await assert.rejects(text(model.generate([1], { topP: 7 })), refused('BadArgument', /top/))
  const thrown = [
    new TypeError('a type'),
    new DOMException('a name', 'NotReadableError'),
    Object.assign(new Error('own'), { name: 'OwnError' }),
    new LokahiError('BadFile', 'outer', { cause: new RangeError('inner') }),
  ]
  for (const error of thrown) {
    t.mock.method(Model.prototype, 'forward', async () => {
      throw error
    })
    await assert.rejects(model.forward([1]), (got) => {
      assert.notEqual(got, error)
      assert.equal(got.constructor, error.constructor)
      assert.deepEqual([got.name, got.message, got.code], [error.name, error.message, error.code])
      assert.equal(got.cause?.constructor, error.cause?.constructor)
      assert.equal(got.cause?.message, error.cause?.message)
      return true
    })
    t.mock.restoreAll()
  }
  const notClonable = model.forward([1], { strange: Symbol('x') })
  await assert.rejects(notClonable, { name: 'DataCloneError' })
  const elsewhere = await (await start(t)).Adapter.load(folder('fi-lora'))
  await assert.rejects(
    model.loadAdapter(elsewhere, { name: 'x' }),
    refused('BadArgument', /worker/),
  )
})

test('an abort rejects with the very reason, of a load, a step, and before both', async (t) => {
  const lokahi = await start(t)
  const reason = { nobody: 'could copy this', self: () => reason }
  const stop = new AbortController()
  const load = lokahi.Model.fromPretrained(base, { signal: stop.signal })
  stop.abort(reason)
  await assert.rejects(load, (error) => error === reason)
  const late = lokahi.Model.fromPretrained(base, { signal: stop.signal })
  await assert.rejects(late, (error) => error === reason)

  const model = await lokahi.Model.fromPretrained(base)
  const other = new AbortController()
  const pieces = model.generate('', { signal: other.signal })
  await pieces.next()
  other.abort()
  await assert.rejects(text(pieces), { name: 'AbortError' })
  assert.equal(await text(model.generate('K')), golden('base', 1).slice(1))
})

test('steps are taken as they are asked for, and stop with the loop', async (t) => {
  const lokahi = await start(t)
  const model = await lokahi.Model.fromPretrained(base)
  let steps = 0
  let over = 0
  t.mock.method(Model.prototype, 'generate', async function* () {
    try {
      for (;;) yield ++steps
    } finally {
      over += 1
    }
  })
  const later = () => new Promise((resolve) => setTimeout(resolve, 20))
  const never = model.generate('')
  await later()
  assert.deepEqual([steps, over], [0, 0])
  for await (const step of model.generate('')) {
    await later()
    assert.equal(step, steps)
    if (step === 3) break
  }
  await later()
  assert.deepEqual([steps, over], [3, 1])
  await never.return()
})

test('dispose frees, twice is fine; after it every use is an error', async (t) => {
  const lokahi = await start(t)
  const model = await lokahi.Model.fromPretrained(base)
  const adapter = await lokahi.Adapter.load(folder('fi-lora'))
  await Promise.all([model.dispose(), model.dispose(), adapter.dispose()])
  assert.throws(() => model.adapters, refused('Disposed', /model/))
  assert.equal(model.parameters, 709_248)
  await assert.rejects(model.forward([1]), refused('Disposed', /disposed/))
  await assert.rejects(text(model.generate('K')), refused('Disposed', /disposed/))
  const other = await lokahi.Model.fromPretrained(base)
  await assert.rejects(other.loadAdapter(adapter, { name: 'x' }), refused('Disposed', /disposed/))
})

test('what the page has forgotten is freed, what it uses is not', async (t) => {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc')
  const { port1, port2 } = new MessageChannel()
  serve(port2)
  let freed = 0
  port2.addEventListener('message', ({ data }) => (freed += data.lokahi === 'free'))
  const lokahi = await startWorker({ device: 'cpu', worker: port1 })
  t.after(() => lokahi.terminate())
  const load = async () => (await lokahi.Model.fromPretrained(base)).generate('K')
  const pieces = await load()
  await (await lokahi.Adapter.load(folder('fi-lora'))).findings('model.layers.0.mlp.down_proj')
  for (let round = 0; round < 100 && freed === 0; round++) {
    gc()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.ok(freed > 0)
  assert.equal(await text(pieces), golden('base', 1).slice(1))
})

test('terminate rejects what is under way and all that follows', async (t) => {
  const lokahi = await start(t)
  const model = await lokahi.Model.fromPretrained(base)
  const pieces = model.generate('')
  await pieces.next()
  const under = [lokahi.Model.fromPretrained(base), pieces.next(), model.forward([1])]
  const dispose = model.dispose()
  lokahi.terminate()
  for (const promise of under) await assert.rejects(promise, refused('Disposed', /terminated/))
  await assert.rejects(model.forward([1]), refused('Disposed', /terminated/))
  await assert.rejects(text(model.generate('K')), refused('Disposed', /terminated/))
  await Promise.all([dispose, model.dispose()])
})

test('a start that fails says why', async () => {
  const { port1, port2 } = new MessageChannel()
  serve(port2)
  const start = startWorker({ device: 'webgpu', worker: port1 })
  await assert.rejects(start, refused('Device', /WebGPU/))
})
