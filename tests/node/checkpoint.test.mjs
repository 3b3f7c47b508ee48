// Models in the forms that folders have them, through the package.
import assert from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { before, test } from 'node:test'
import { init, Model } from '../../dist/node.js'
import { read, scratch, write } from './cli/helper.mjs'

const fixture = (name, file = '') => `./tests/fixtures/models/${name}/${file}`
const families = [
  'llama-bias-headdim',
  'llama-rope-llama3',
  'llama-untied',
  'mistral',
  'qwen2',
  'qwen3',
]
const INDEX = 'model.safetensors.index.json'

before(() => init({ device: 'cpu' }))

const refused = (code, message) => (error) => {
  assert.equal(error.code, code, error.message)
  assert.match(error.message, message)
  return true
}

/** Largest difference, as a share of the largest number. */
function off(got, want) {
  assert.equal(got.length, want.length)
  const most = (all) => all.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
  return most(got.map((x, i) => x - want[i])) / most(want)
}

for (const name of families) {
  test(`${name}: logits without and with its adapter`, async () => {
    const { tensors } = read(fixture(name, 'goldens.safetensors'))
    const model = await Model.fromPretrained(fixture(name))
    await model.loadAdapter(fixture(name, 'adapter/'), { name: 'tuned' })
    const { data } = tensors.ids
    const ids = Array.from({ length: data.length / 4 }, (_, i) => data.readInt32LE(4 * i))
    for (const [mix, key] of [
      [[], 'logits'],
      [['tuned'], 'logits_adapter'],
    ]) {
      model.setAdapters(mix)
      const { logits } = await model.forward(ids)
      const apart = off(logits, Float32Array.from(tensors[key].values))
      assert.ok(apart < 1e-4, `${key}: off by ${apart}`)
    }
    model.dispose()
  })
}

/** A folder with the tensors of a model in two files. */
async function sharded(t, name) {
  const path = await scratch(t)
  cpSync(fixture(name, 'config.json'), path('config.json'))
  const { tensors } = read(fixture(name, 'model.safetensors'))
  const all = Object.entries(tensors)
  const files = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
  const weight_map = {}
  for (const [at, file] of files.entries()) {
    // Not one behind the other: the parts of a stacked weight come from both files.
    const own = all.filter((_, i) => i % 2 === at)
    write(path(file), Object.fromEntries(own))
    for (const [tensor] of own) weight_map[tensor] = file
  }
  writeFileSync(path(INDEX), JSON.stringify({ metadata: {}, weight_map }))
  return { path, files }
}

test('a model in several files is the same model', async (t) => {
  const { path, files } = await sharded(t, 'qwen3')
  const ids = [3, 7, 1, 20, 11]
  const one = await Model.fromPretrained(fixture('qwen3'))
  const want = (await one.forward(ids)).logits
  const seen = new Map()
  const onProgress = ({ file, loaded }) => seen.set(file, loaded)
  const two = await Model.fromPretrained(path(''), { onProgress })
  assert.deepEqual((await two.forward(ids)).logits, want)
  assert.equal(two.parameters, one.parameters)
  for (const file of files) assert.equal(seen.get(file), readFileSync(path(file)).length)

  const bytes = (name) => readFileSync(path(name))
  const parts = Object.fromEntries(['config.json', INDEX, ...files].map((n) => [n, bytes(n)]))
  const three = await Model.fromPretrained(parts)
  assert.deepEqual((await three.forward(ids)).logits, want)
  const { [files[1]]: gone, ...rest } = parts
  await assert.rejects(Model.fromPretrained(rest), refused('MissingFile', /00002/))
  const cut = { ...parts, [files[1]]: gone.subarray(0, gone.length - 4) }
  await assert.rejects(Model.fromPretrained(cut), refused('BadFile', /00002/))
  for (const model of [one, two, three]) model.dispose()
})

test('a file of another name is asked for; two GGUF files are not guessed between', async () => {
  const [config, weights] = ['config.json', 'model.safetensors'].map((file) =>
    readFileSync(fixture('qwen2', file)),
  )
  const source = { 'config.json': config, 'weights.safetensors': weights }
  await assert.rejects(Model.fromPretrained(source), refused('MissingFile', /model\.safetensors/))
  const model = await Model.fromPretrained(source, { file: 'weights.safetensors' })
  assert.equal(model.config.architecture, 'Qwen2ForCausalLM')
  model.dispose()
  const two = { 'a.gguf': new Uint8Array(9), 'b.gguf': new Uint8Array(9) }
  await assert.rejects(Model.fromPretrained(two), refused('BadArgument', /a\.gguf, b\.gguf/))
  const chosen = Model.fromPretrained(two, { file: 'b.gguf' })
  await assert.rejects(chosen, refused('BadFile', /b\.gguf/))
})
