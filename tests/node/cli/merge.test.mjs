// lokahi merge: numbers, headers, folders, strengths, tied embeddings, what it refuses.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync, symlinkSync, writeFileSync, mkdirSync, cpSync } from 'node:fs'
import { test } from 'node:test'
import {
  adapterOf,
  close,
  encode,
  fails,
  fixture,
  places,
  product,
  read,
  scratch,
  works,
  write,
} from './helper.mjs'

const cases = readdirSync(fixture(''))

test('merged weights equal those of the libraries', async (t) => {
  assert.equal(cases.length, 32)
  const at = await scratch(t)
  for (const name of cases) {
    const out = at(`${name}.safetensors`)
    await works('merge', `${fixture(name)}/base.safetensors`, adapterOf(name), '-o', out)
    const [base, merged] = [read(`${fixture(name)}/base.safetensors`), read(out)]
    const expected = read(`${fixture(name)}/expected.safetensors`).tensors
    assert.deepEqual(merged.head, base.head, name)
    let changed = 0
    for (const [tensor, { values, data }] of Object.entries(merged.tensors)) {
      const wanted = expected[`${tensor.replace(/\.weight$/, '')}.merged`]
      if (wanted) {
        close(values, wanted.values, 1e-5, `${name} ${tensor}`)
        changed++
      } else if (name !== 'peft-lora-bias-saved-modules') {
        assert.deepEqual(data, base.tensors[tensor].data, `${name} ${tensor}`)
      }
    }
    assert.equal(changed, Object.keys(expected).filter((key) => key.endsWith('.merged')).length)
  }
})

/** The change of every module of a PEFT LoRA in f64, by the tensor's name. */
function deltas(folder) {
  const { r, lora_alpha } = JSON.parse(readFileSync(`${folder}/adapter_config.json`))
  const { tensors } = read(`${folder}/adapter_model.safetensors`)
  const found = {}
  for (const name of Object.keys(tensors)) {
    const [, module] = /^base_model\.model\.(.*)\.lora_A\.weight$/.exec(name) ?? []
    if (!module) continue
    const up = tensors[name.replace('lora_A', 'lora_B')]
    found[`${module}.weight`] = product(up, tensors[name], lora_alpha / r)
  }
  return found
}

const sum = (a, b, strength = 1) => a.map((value, i) => value + strength * b[i])

for (const dtype of ['F16', 'BF16']) {
  test(`a base in ${dtype} is rounded once`, async (t) => {
    const at = await scratch(t)
    const { tensors, metadata } = read(`${fixture('peft-lora')}/base.safetensors`)
    const stored = Object.entries(tensors).map(([name, { shape, values }]) => [
      name,
      { dtype, shape, data: encode(dtype, values) },
    ])
    write(at('base.safetensors'), Object.fromEntries(stored), metadata)
    await works('merge', at('base.safetensors'), fixture('peft-lora'), '-o', at('out.safetensors'))
    const [base, merged] = [read(at('base.safetensors')), read(at('out.safetensors'))]
    assert.deepEqual(merged.head, base.head)
    const changes = deltas(fixture('peft-lora'))
    for (const [name, { data, values }] of Object.entries(base.tensors)) {
      const wanted = changes[name] ? encode(dtype, sum(values, changes[name])) : data
      assert.deepEqual(merged.tensors[name].data, wanted, name)
    }
  })
}

test('a folder of shards, two adapters at strengths, config and tokenizer along', async (t) => {
  const at = await scratch(t)
  mkdirSync(at('base'))
  const { tensors, metadata } = read(`${places('base')}/model.safetensors`)
  const weight_map = {}
  for (const part of [1, 2]) {
    const file = `model-0000${part}-of-00002.safetensors`
    const names = Object.keys(tensors).filter((name) => /\.[01]\./.test(name) === (part === 1))
    for (const name of names) weight_map[name] = file
    write(at(`base/${file}`), Object.fromEntries(names.map((n) => [n, tensors[n]])), metadata)
  }
  writeFileSync(at('base/model.safetensors.index.json'), JSON.stringify({ weight_map }))
  const rest = ['config.json', 'tokenizer.json', 'tokenizer_config.json']
  for (const name of rest) cpSync(`${places('base')}/${name}`, at(`base/${name}`))
  const [one, two] = ['fi-lora', 'it-lora'].map((name) => places(`adapters/${name}`))
  const strengths = ['--strength=0.7', '--strength=-0.25']
  await works('merge', at('base'), one, two, ...strengths, '-o', at('out'))
  assert.deepEqual(readdirSync(at('out')), readdirSync(at('base')))
  for (const name of [...rest, 'model.safetensors.index.json']) {
    assert.deepEqual(readFileSync(at(`out/${name}`)), readFileSync(at(`base/${name}`)), name)
  }
  const [a, b] = [deltas(one), deltas(two)]
  for (const file of new Set(Object.values(weight_map))) {
    const [base, merged] = [read(at(`base/${file}`)), read(at(`out/${file}`))]
    assert.deepEqual(merged.head, base.head)
    for (const [name, { dtype, data, values }] of Object.entries(base.tensors)) {
      const mixed = a[name] && sum(sum(values, a[name], 0.7), b[name], -0.25)
      if (!mixed) assert.deepEqual(merged.tensors[name].data, data, name)
      else assert.deepEqual(merged.tensors[name].values, read16(encode(dtype, mixed)), name)
    }
  }
  await fails(2, /one --strength/, 'merge', at('base'), one, ...strengths, '-o', at('no'))
})

test('strength 0 gives the base bit for bit', async (t) => {
  const at = await scratch(t)
  await works('merge', places('base'), places('adapters/fi-lora'), '--strength=0', '-o', at('same'))
  for (const name of readdirSync(places('base'))) {
    assert.deepEqual(readFileSync(at(`same/${name}`)), readFileSync(`${places('base')}/${name}`))
  }
})

function read16(bytes) {
  return Float64Array.from({ length: bytes.length / 2 }, (_, i) => {
    const b = bytes.readUInt16LE(2 * i)
    const [exponent, fraction] = [(b >> 10) & 31, b & 1023]
    const size = exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24
    return b >> 15 ? -size : size
  })
}

test('never over its input, nothing left of a failed run, --force over an output', async (t) => {
  const at = await scratch(t)
  mkdirSync(at('base'))
  cpSync(`${fixture('peft-lora')}/base.safetensors`, at('base/model.safetensors'))
  symlinkSync(at('base/model.safetensors'), at('link.safetensors'))
  symlinkSync(at('base'), at('folder'))
  const before = readFileSync(at('base/model.safetensors'))
  const model = at('base/model.safetensors')
  for (const [base, out] of [
    [model, model],
    [model, `${at('base')}/./../base/model.safetensors`],
    [model, at('link.safetensors')],
    [at('link.safetensors'), model],
    [at('base'), at('base')],
    [at('base'), at('folder')],
    [at('base'), at('base/out')],
    [at('base'), at('folder/out')],
    [at('base'), at('.')],
  ]) {
    await fails(2, /not over it/, 'merge', base, fixture('peft-lora'), '--force', '-o', out)
  }
  const list = readdirSync(at('.'), { recursive: true })
  await fails(1, /BaseMismatch/, 'merge', at('base'), places('adapters/fi-lora'), '-o', at('new'))
  assert.deepEqual(readdirSync(at('.'), { recursive: true }), list)
  assert.deepEqual(readFileSync(model), before)

  const args = ['merge', model, fixture('peft-lora'), '-o', at('out.safetensors')]
  writeFileSync(at('out.safetensors'), 'mine')
  await fails(2, /--force/, ...args)
  assert.equal(readFileSync(at('out.safetensors'), 'utf8'), 'mine')
  await works(...args, '--force')
  assert.notDeepEqual(readFileSync(at('out.safetensors')), before)
})
