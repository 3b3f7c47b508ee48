// Addresses that are asked for, and the one file that is the model.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Tokenizer } from 'lokahi'
import { openSource } from '../../../dist/source.js'
import { refused } from './helper.mjs'

/** The addresses that opening these files of a source asks for. */
async function addresses(source, options, ...names) {
  const asked = []
  const { fetch } = globalThis
  globalThis.fetch = async (url) => {
    asked.push(String(url))
    return new Response('abc', { headers: { 'content-length': '3' } })
  }
  try {
    const folder = await openSource(source, options)
    for (const name of names) assert.ok(await folder.open(name, 'stream'))
  } finally {
    globalThis.fetch = fetch
  }
  return asked
}

test('addresses of a Hub id: its revision, that of the options, which goes before', async () => {
  const hub = 'https://huggingface.co/owner/name.x'
  const at = async (source, options) => (await addresses(source, options, 'config.json'))[0]
  assert.equal(await at('owner/name.x', {}), `${hub}/resolve/main/config.json`)
  assert.equal(await at('owner/name.x@v1', {}), `${hub}/resolve/v1/config.json`)
  assert.equal(await at('owner/name.x', { revision: 'abc' }), `${hub}/resolve/abc/config.json`)
  assert.equal(await at('owner/name.x@v1', { revision: 'abc' }), `${hub}/resolve/abc/config.json`)
  const request = `${hub}/resolve/refs%2Fpr%2F1/config.json`
  assert.equal(await at('owner/name.x', { revision: 'refs/pr/1' }), request)
  assert.equal(await at('owner/name.x@refs/pr/1', {}), request)
  for (const source of ['https://here.test/a/', './a', { 'a.gguf': new Uint8Array() }]) {
    await assert.rejects(
      openSource(source, { revision: 'abc' }),
      refused('BadArgument', /revision/),
    )
  }
})

test('names become addresses, whatever letters they have', async () => {
  const asked = await addresses('https://here.test/models', {}, 'a b#c?.bin', 'sub/ü.bin')
  const folder = 'https://here.test/models'
  assert.deepEqual(asked, [`${folder}/a%20b%23c%3F.bin`, `${folder}/sub/%C3%BC.bin`])
})

test('one file of a Hub id', async () => {
  const options = { revision: 'abc', file: 'model.Q4_1.gguf' }
  const asked = await addresses('owner/name', options, 'model.Q4_1.gguf', 'tokenizer.json')
  const folder = 'https://huggingface.co/owner/name/resolve/abc'
  assert.deepEqual(asked, [`${folder}/model.Q4_1.gguf`, `${folder}/tokenizer.json`])
  const { names, open } = await openSource('owner/name', options)
  assert.deepEqual(names, ['model.Q4_1.gguf'])
  // Others are not even asked for.
  for (const name of ['model.safetensors', 'model.safetensors.index.json', 'b.gguf']) {
    assert.equal(await open(name), undefined)
  }
})

test('one file of several', async () => {
  const all = ['a.gguf', 'b.gguf', 'model.safetensors', 'config.json']
  const files = all.map((name) => new File([name], name))
  const memory = Object.fromEntries(all.map((name) => [name, new TextEncoder().encode(name)]))
  for (const source of [files, memory]) {
    const { names, open } = await openSource(source, { file: 'b.gguf' })
    assert.deepEqual(names, ['b.gguf', 'config.json'])
    const text = async (name) => new TextDecoder().decode(await (await open(name)).read(0, 6))
    assert.equal(await text('b.gguf'), 'b.gguf')
    assert.equal(await text('config.json'), 'config')
    assert.equal(await open('a.gguf'), undefined)
    assert.equal(await (await openSource(source, { file: 'c.gguf' })).open('c.gguf'), undefined)
  }
})

test('a chat template that is asked for later is of the same revision', async () => {
  const place = new URL('../../../www/public/places/base/', import.meta.url)
  const asked = []
  const { fetch } = globalThis
  globalThis.fetch = async (url) => {
    asked.push(String(url))
    const name = String(url).split('/').pop()
    if (name === 'chat_template.jinja') return new Response('{{ messages[0].content }}')
    return new Response(await readFile(new URL(name, place)))
  }
  try {
    const tokenizer = await Tokenizer.fromPretrained('owner/name', { revision: 'abc' })
    assert.equal(await tokenizer.applyChatTemplate([{ role: 'user', content: 'Hi' }]), 'Hi')
  } finally {
    globalThis.fetch = fetch
  }
  assert.deepEqual(
    asked.map((url) => url.replace('https://huggingface.co/owner/name/resolve/', '')),
    ['abc/tokenizer.json', 'abc/tokenizer_config.json', 'abc/chat_template.jinja'],
  )
})
