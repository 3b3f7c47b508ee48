// Integrity of the wasm, and many calls: nothing grows. One process, so the refusals come first.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LokahiError, Model, init } from 'lokahi'
import integrity from 'lokahi/integrity.json' with { type: 'json' }

let memory
const { instantiate } = WebAssembly
WebAssembly.instantiate = async (...given) => {
  const made = await instantiate(...given)
  memory ??= made.instance.exports.memory
  return made
}

const wasm = await readFile('./dist/lokahi_bg.wasm')
const refused = (code, place) => (error) => {
  assert.ok(error instanceof LokahiError, String(error))
  assert.equal(error.code, code)
  assert.match(error.message, place)
  return true
}

test('wasm that differs from its hash is not compiled', async () => {
  const changed = Uint8Array.from(wasm)
  changed[changed.length - 1] ^= 1
  await assert.rejects(
    init({ wasm: changed, integrity }),
    refused('IntegrityMismatch', /lokahi_bg\.wasm: expected sha384-\S+, got sha384-/),
  )
  await assert.rejects(
    init({ wasm, integrity: 'sha256-AAAA sha384-BBBB' }),
    refused('IntegrityMismatch', /expected sha384-BBBB, got/),
  )
  await assert.rejects(init({ wasm, integrity: 'md5-AAAA' }), refused('BadArgument', /md5-AAAA/))
  await assert.rejects(init({ wasm, integrity: {} }), refused('BadArgument', /got nothing/))
  const module = await WebAssembly.compile(wasm)
  await assert.rejects(init({ wasm: module, integrity }), refused('BadArgument', /no bytes/))
  assert.equal(memory, undefined)
  const { backend } = await init({ integrity: `sha384-AAAA ${integrity['lokahi_bg.wasm']}` })
  assert.equal(backend, 'cpu')
  // What comes later is compared too.
  await init({ integrity: { ...integrity, 'lokahi_tools_bg.wasm': 'sha384-CCCC' } })
  const model = await Model.fromPretrained('./www/public/places/base')
  const adapter = await model.loadAdapter('./www/public/places/adapters/fi-lokr', { name: 'fi' })
  const measure = () => adapter.spectrum('model.layers.0.mlp.down_proj')
  await assert.rejects(measure(), refused('IntegrityMismatch', /lokahi_tools_bg\.wasm/))
  await init({ integrity })
  assert.equal((await measure()).singularValues.length, 32)
  model.dispose()
})

test('ten thousand calls take no memory', async (t) => {
  const model = await Model.fromPretrained('./www/public/places/base')
  for (const name of ['fi-lora', 'fi-loha', 'fi-lokr']) {
    await model.loadAdapter(`./www/public/places/adapters/${name}`, { name })
  }
  const names = model.adapters
  const call = async (i) => {
    const strength = (i % 10) / 10
    switch (i % 5) {
      case 0:
        return model.setAdapters([names[i % 3]], [strength])
      case 1:
        return model.forward([1, 5 + (i % 50)])
      case 2:
        for await (const _ of model.generateIds([1], { maxTokens: 8, seed: i })) break
        return
      case 3:
        return assert.throws(() => model.setAdapters(['none']), LokahiError)
      default:
        for await (const _ of model.compare('K', [{}, { [names[0]]: 1 }], { maxTokens: 1 }));
    }
  }
  const counted = () => [memory.buffer.byteLength, model.memory]
  for (let i = 0; i < 100; i++) await call(i)
  const before = counted()
  for (let i = 0; i < 10_000; i++) await call(i)
  assert.deepEqual(counted(), before)
  t.diagnostic(JSON.stringify(before))
  model.dispose()
})

test('a model that no memory holds is refused before a number is read; others go on', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lokahi-'))
  const [hidden, inner, layers] = [4096, 65_536, 2]
  const shapes = { 'model.embed_tokens.weight': [1000, hidden], 'model.norm.weight': [hidden] }
  for (const layer of Array.from({ length: layers }, (_, i) => `model.layers.${i}`)) {
    for (const name of ['input', 'post_attention']) {
      shapes[`${layer}.${name}_layernorm.weight`] = [hidden]
    }
    for (const name of 'qkvo') shapes[`${layer}.self_attn.${name}_proj.weight`] = [hidden, hidden]
    for (const name of ['gate', 'up']) shapes[`${layer}.mlp.${name}_proj.weight`] = [inner, hidden]
    shapes[`${layer}.mlp.down_proj.weight`] = [hidden, inner]
  }
  const header = {}
  let at = 0
  for (const [name, shape] of Object.entries(shapes)) {
    const end = at + 4 * shape.reduce((product, length) => product * length)
    header[name] = { dtype: 'F32', shape, data_offsets: [at, end] }
    at = end
  }
  const config = {
    model_type: 'llama',
    hidden_size: hidden,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: 32,
    num_key_value_heads: 32,
    vocab_size: 1000,
    max_position_embeddings: 128,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: true,
  }
  try {
    await writeFile(join(folder, 'config.json'), JSON.stringify(config))
    const text = Buffer.from(JSON.stringify(header))
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(text.length))
    const path = join(folder, 'model.safetensors')
    await writeFile(path, Buffer.concat([length, text]))
    // Seven gigabytes of nothing, which take no room on disk.
    await truncate(path, 8 + text.length + at)
    await assert.rejects(
      Model.fromPretrained(folder),
      refused('Device', /no memory for a model, \d+ bytes/),
    )
  } finally {
    await rm(folder, { recursive: true })
  }
  const model = await Model.fromPretrained('./www/public/places/base')
  let name = ''
  for await (const text of model.generate('San ')) name += text
  assert.equal(name, 'Anna')
  model.dispose()
})

test('a hundred models and their adapters leave nothing behind', async (t) => {
  const use = async () => {
    const model = await Model.fromPretrained('./www/public/places/base')
    const folder = './www/public/places/adapters/fi-lokr'
    const adapter = await model.loadAdapter(folder, { name: 'fi' })
    model.setAdapters(['fi'])
    model.mergeAdapters()
    await model.forward([1])
    adapter.dispose()
    model.dispose()
  }
  for (let i = 0; i < 10; i++) await use()
  const before = memory.buffer.byteLength
  for (let i = 0; i < 100; i++) await use()
  assert.equal(memory.buffer.byteLength, before)
  t.diagnostic(`${before} bytes of wasm memory`)
})
