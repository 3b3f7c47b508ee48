// SmolLM2-135M-Instruct from its GGUF file on WebGPU in Chromium (SwiftShader), where the file is
// here. Everything there is to compare takes a quarter of an hour there: LOKAHI_ALL=1.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { adapterFolder } from '../smollm2/agree.mjs'
import { openPackage } from './package.mjs'

const path = process.env.LOKAHI_SMOLLM2 ?? 'models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf'
const skip = !existsSync(path) && `no ${path}: npm run model`
const all = process.env.LOKAHI_ALL === '1'
const tokens = all ? 32 : 6
const fixture = (name) => `tests/fixtures/smollm2/${name}`
const names = ['base', 'lora', 'loha', 'lokr']

let opened
before(async () => {
  if (skip) return
  opened = await openPackage({ webgpu: true })
  const { page } = opened
  page.setDefaultTimeout(0)
  /** Files as a visitor picks them. */
  const pick = async (paths, use) => {
    await page.setInputFiles('input', paths)
    await page.evaluate(use)
  }
  await pick([fixture('goldens.json'), fixture('goldens.safetensors')], async () => {
    const { readGoldens } = await window.agree
    const files = [...document.querySelector('input').files]
    const read = async (name) =>
      new Uint8Array(await files.find((file) => file.name === name).arrayBuffer())
    window.goldens = await readGoldens(read)
  })
  await pick([path], async () => {
    const { init, Model } = await window.lokahi
    await init({ device: 'webgpu' })
    window.model = await Model.fromPretrained([...document.querySelector('input').files])
  })
  for (const name of names.slice(1)) {
    const files = ['adapter_config.json', 'adapter_model.safetensors']
    await page.evaluate((name) => (window.adapter = name), name)
    await pick(
      files.map((file) => adapterFolder(name) + file),
      async () => {
        const files = [...document.querySelector('input').files]
        await window.model.loadAdapter(files, { name: window.adapter })
      },
    )
  }
})
after(() => opened?.close())

/** Calls a function of agree.mjs in the page. */
const agree = (verb, ...given) =>
  opened.page.evaluate(
    async ([verb, given]) => (await window.agree)[verb](window.model, window.goldens, ...given),
    [verb, given],
  )
const expected = (name, prompt) =>
  opened.page.evaluate(
    async ([name, prompt]) => (await window.agree).expected(window.goldens, name, prompt),
    [name, prompt],
  )

test('logits of the prompts', { skip }, async (t) => {
  for (const name of names) {
    for (const prompt of all ? [0, 1, 2, 3] : [0]) {
      const off = await agree('logitsOff', name, prompt)
      t.diagnostic(`${name}, prompt ${prompt}: off by ${off.toExponential(1)}`)
      assert.ok(off < 2e-3, `${name}, prompt ${prompt}: off by ${off} of the largest logit`)
    }
  }
})

test('greedy tokens, four texts in one batch', { skip }, async () => {
  for (const prompt of all ? [0, 1, 2, 3] : [0]) {
    const together = await agree('greedyTogether', prompt, tokens)
    for (const name of names) {
      const want = (await expected(name, prompt)).slice(0, tokens)
      assert.deepEqual(together[name], want, `${name} ${prompt}`)
    }
  }
})

test('perplexities', { skip: skip || (!all && 'slow: LOKAHI_ALL=1') }, async (t) => {
  for (const name of names) {
    const got = await agree('perplexity', name)
    const want = await opened.page.evaluate(
      (name) => window.goldens.adapters[name].perplexity,
      name,
    )
    t.diagnostic(`${name}: ${got.toFixed(4)}, by transformers ${want.toFixed(4)}`)
    assert.ok(Math.abs(got / want - 1) < 5e-3, `${name}: ${got}, by transformers ${want}`)
  }
})
