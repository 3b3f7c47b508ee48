// lokahi merge where the embedding table is the output head too, and where it comes with more rows.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fails, read, scratch, works, write } from './helper.mjs'

const TABLE = 'model.embed_tokens.weight'
const HEAD = 'lm_head.weight'
const f32 = (shape, values) => ({ dtype: 'F32', shape, values })
// Three tokens of width two.
const table = f32([3, 2], [1, 2, 3, 4, 5, 6])
const other = f32([2, 2], [1, 0, 0, 1])

/** A base with tied embeddings, and an adapter folder. */
function make(at, tensors, config = {}) {
  mkdirSync(at('base'))
  write(at('base/model.safetensors'), { 'l.weight': other, [TABLE]: table })
  const settings = { model_type: 'llama', tie_word_embeddings: true, vocab_size: 3 }
  writeFileSync(at('base/config.json'), JSON.stringify(settings))
  mkdirSync(at('adapter'))
  const own = { peft_type: 'LORA', r: 1, lora_alpha: 1, target_modules: ['x'], ...config }
  writeFileSync(at('adapter/adapter_config.json'), JSON.stringify(own))
  write(at('adapter/adapter_model.safetensors'), tensors)
}

const merged = (at) => read(at('out/model.safetensors')).tensors
const config = (at) => JSON.parse(readFileSync(at('out/config.json'), 'utf8'))
const prefix = 'base_model.model.'

test('an adapter of a tied table needs a choice, and both choices hold', async (t) => {
  const at = await scratch(t)
  const [A, B] = ['A', 'B'].map((part) => `${prefix}model.embed_tokens.lora_embedding_${part}`)
  // dW^T = [[1, 10], [2, 20], [3, 30]].
  make(at, { [A]: f32([1, 3], [1, 2, 3]), [B]: f32([2, 1], [1, 10]) })
  const command = ['merge', at('base'), at('adapter'), '-o', at('out'), '--force']
  await fails(1, /BadArgument.*embeddings.*tied.*untied/, ...command)
  const sum = [2, 12, 5, 24, 8, 36]
  await works(...command, '--embeddings', 'tied')
  assert.deepEqual([...merged(at)[TABLE].values], sum)
  assert.equal(merged(at)[HEAD], undefined)
  assert.equal(config(at).tie_word_embeddings, true)
  await works(...command, '--embeddings', 'untied')
  assert.deepEqual([...merged(at)[TABLE].values], sum)
  assert.deepEqual([...merged(at)[HEAD].values], table.values)
  assert.equal(config(at).tie_word_embeddings, false)
  assert.deepEqual(Object.keys(merged(at)), ['l.weight', TABLE, HEAD])
})

test('an adapter of a head that is the table', async (t) => {
  const at = await scratch(t)
  make(at, {
    [`${prefix}lm_head.lora_A.weight`]: f32([1, 2], [1, 10]),
    [`${prefix}lm_head.lora_B.weight`]: f32([3, 1], [1, 2, 3]),
  })
  const command = ['merge', at('base'), at('adapter'), '-o', at('out'), '--force']
  await fails(1, /embeddings/, ...command)
  await works(...command, '--embeddings', 'untied')
  assert.deepEqual([...merged(at)[TABLE].values], table.values)
  assert.deepEqual([...merged(at)[HEAD].values], [2, 12, 5, 24, 8, 36])
  await works(...command, '--embeddings', 'tied')
  assert.deepEqual([...merged(at)[TABLE].values], [2, 12, 5, 24, 8, 36])
})

test('a table with more tokens replaces the one of the base, and the config says how many', async (t) => {
  const at = await scratch(t)
  const larger = f32([4, 2], [1, 2, 3, 4, 5, 6, 7, 8])
  make(at, {
    [`${prefix}model.embed_tokens.weight`]: larger,
    [`${prefix}l.lora_A.weight`]: f32([1, 2], [1, 0]),
    [`${prefix}l.lora_B.weight`]: f32([2, 1], [1, 0]),
  })
  const command = ['merge', at('base'), at('adapter'), '-o', at('out'), '--force']
  await works(...command, '--embeddings', 'tied')
  assert.deepEqual([...merged(at)[TABLE].values], larger.values)
  assert.deepEqual([...merged(at)['l.weight'].values], [2, 0, 0, 1])
  assert.equal(config(at).vocab_size, 4)
  await fails(
    1,
    /ShapeMismatch.*embed_tokens/,
    ...command,
    '--embeddings',
    'tied',
    '--strength',
    '0.5',
  )
})
