// SmolLM2-135M-Instruct from its GGUF file on the CPU backend in wasm, where the file is here.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { before, test } from 'node:test'
import { init, Model } from '../../dist/node.js'
import {
  activate,
  adapterFolder,
  expected,
  greedy,
  greedyTogether,
  logitsOff,
  perplexity,
  readGoldens,
} from '../smollm2/agree.mjs'

const path = process.env.LOKAHI_SMOLLM2 ?? './models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf'
const skip = !existsSync(path) && `no ${path}: npm run model`
const fixture = (name) => `./tests/fixtures/smollm2/${name}`
const names = ['base', 'lora', 'loha', 'lokr']
const median = (times) => times.toSorted((a, b) => a - b)[times.length >> 1]

let model, goldens
before(async () => {
  if (skip) return
  await init({ device: 'cpu' })
  goldens = await readGoldens(async (name) => readFileSync(fixture(name)))
  model = await Model.fromPretrained(path, { context: 512 })
  for (const name of names.slice(1)) await model.loadAdapter(adapterFolder(name), { name })
})

for (const name of names) {
  test(`${name}: logits, greedy tokens and perplexity as the goldens say`, { skip }, async (t) => {
    for (const prompt of goldens.prompts.keys()) {
      const off = await logitsOff(model, goldens, name, prompt)
      t.diagnostic(`logits of prompt ${prompt} off by ${off.toExponential(1)}`)
      assert.ok(off < 2e-3, `prompt ${prompt}: off by ${off} of the largest logit`)
      const want = expected(goldens, name, prompt)
      assert.deepEqual(await greedy(model, goldens, name, prompt), want, `prompt ${prompt}`)
    }
    const [got, want] = [await perplexity(model, goldens, name), goldens.adapters[name].perplexity]
    t.diagnostic(`perplexity ${got.toFixed(4)}, by transformers ${want.toFixed(4)}`)
    assert.ok(Math.abs(got / want - 1) < 5e-3, `perplexity ${got}, by transformers ${want}`)
  })
}

test('four texts in one batch, each with its own adapter, as each alone', { skip }, async () => {
  for (const prompt of goldens.prompts.keys()) {
    const together = await greedyTogether(model, goldens, prompt)
    for (const name of names) {
      assert.deepEqual(together[name], expected(goldens, name, prompt), `${name} ${prompt}`)
    }
  }
})

test('the tokenizer and the chat template of the file', { skip }, async () => {
  const { tokenizer } = model
  for (const { text, ids } of goldens.prompts) assert.deepEqual(tokenizer.encode(text), ids)
  const { messages, text } = goldens.chat
  const options = { addGenerationPrompt: true }
  assert.equal(await tokenizer.applyChatTemplate(messages, options), text)
})

test('a swap takes less than 5 ms, and 1000 of them no memory', { skip }, async (t) => {
  const before = model.memory
  const times = []
  for (let i = 0; i < 1000; i++) {
    const start = performance.now()
    model.setAdapters([names[1 + (i % 3)]], [0.5 + (i % 2)])
    times.push(performance.now() - start)
  }
  t.diagnostic(`a swap takes ${median(times).toFixed(4)} ms, at most ${Math.max(...times)} ms`)
  assert.ok(median(times) < 5)
  assert.deepEqual(model.memory, before)
})

test('100 rounds of loading and deleting leave memory as it was', { skip }, async (t) => {
  const load = async () => {
    await model.loadAdapter(adapterFolder('lora'), { name: 'again' })
    model.setAdapters(['again'])
    await model.forward([1])
    model.deleteAdapter('again')
  }
  // The first rounds may grow the heap of the wasm, which never shrinks.
  for (let i = 0; i < 5; i++) await load()
  const [before, heap] = [model.memory, process.memoryUsage().arrayBuffers]
  for (let i = 0; i < 100; i++) await load()
  assert.deepEqual(model.memory, before)
  globalThis.gc?.()
  t.diagnostic(`array buffers grew by ${(process.memoryUsage().arrayBuffers - heap) / 1e6} MB`)
})

test('a load and a generation that are aborted leave a usable engine', { skip }, async () => {
  const stop = new AbortController()
  let pieces = 0
  const signal = stop.signal
  const onProgress = () => {
    pieces += 1
    stop.abort()
  }
  await assert.rejects(Model.fromPretrained(path, { signal, onProgress }), { name: 'AbortError' })
  assert.ok(pieces > 0)
  // In the middle of a long prompt, too.
  activate(model, 'base')
  const long = Array.from({ length: 400 }, (_, i) => 1000 + i)
  const started = performance.now()
  const midway = AbortSignal.timeout(50)
  await assert.rejects(
    async () => {
      for await (const id of model.generateIds(long, { signal: midway })) assert.fail(`got ${id}`)
    },
    { name: 'TimeoutError' },
  )
  const waited = performance.now() - started
  await model.forward(long)
  assert.ok(waited < (performance.now() - started - waited) * 0.8, `stopped after ${waited} ms`)
  assert.deepEqual(await greedy(model, goldens, 'base', 0), expected(goldens, 'base', 0))
})
