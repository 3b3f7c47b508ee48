// Text to ids and back, and chats, by the tokenizer of SmolLM2: from tokenizer.json, and from the
// metadata of a GGUF file, whose ids the Rust library `tokenizers` gave for each kind of `pre`.
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { LokahiError, init } from 'lokahi'
import { Detokenizer } from '../../dist/detokenizer.js'
import { tokenizerOfGguf } from '../../dist/gguf-tokenizer.js'
import { Tokenizer } from '../../dist/tokenizer.js'

const folder = './tests/fixtures/smollm2'
const bytes = (name) => readFile(`${folder}/${name}`)
const goldens = JSON.parse(await bytes('goldens.json'))
const pres = JSON.parse(await bytes('pre-tokenizers.json'))
const text = gunzipSync(await bytes('tokenizer.json.gz')).toString()
const template = await bytes('chat_template.jinja')
const config = JSON.parse(await bytes('tokenizer_config.json'))

const encoded = (value) => new TextEncoder().encode(JSON.stringify(value))

/** A tokenizer of these files, with the special tokens of SmolLM2. */
const made = (tokenizer, files = {}) =>
  Tokenizer.fromPretrained({
    'tokenizer.json': encoded(tokenizer),
    'tokenizer_config.json': encoded(config),
    ...files,
  })

const smollm = await made(JSON.parse(text), { 'chat_template.jinja': template })

const values = smollmMetadata(JSON.parse(text))

/** Metadata as in the GGUF file of SmolLM2. */
function smollmMetadata({ model, added_tokens }) {
  const tokens = Object.keys(model.vocab).sort((a, b) => model.vocab[a] - model.vocab[b])
  const types = new Uint32Array(tokens.length).fill(1)
  for (const { id } of added_tokens) types[id] = 3
  return {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'smollm',
    'tokenizer.ggml.tokens': tokens,
    'tokenizer.ggml.merges': model.merges.map((pair) => pair.join(' ')),
    'tokenizer.ggml.token_type': types,
    'tokenizer.ggml.bos_token_id': 1,
    'tokenizer.ggml.eos_token_id': 2,
    'tokenizer.ggml.add_bos_token': false,
    'tokenizer.chat_template': template.toString(),
  }
}

function metadata(changes = {}) {
  const changed = { ...values, ...changes }
  const get = (key) => changed[key]
  return { text: get, texts: get, number: get, numbers: get, flag: get }
}

/** A GGUF file without tensors: these keys and values. */
function ggufFile(values) {
  const number = (size, x) => {
    const bytes = Buffer.alloc(size)
    if (size === 8) bytes.writeBigUInt64LE(BigInt(x))
    else bytes.writeUInt32LE(x)
    return bytes
  }
  const text = (x) => [number(8, Buffer.byteLength(x)), Buffer.from(x)]
  const value = (x) => {
    if (typeof x === 'string') return [number(4, 8), ...text(x)]
    if (typeof x === 'number') return [number(4, 4), number(4, x)]
    if (typeof x === 'boolean') return [number(4, 7), Buffer.of(x ? 1 : 0)]
    const array = (type, each) => [number(4, 9), number(4, type), number(8, x.length), ...each]
    if (Array.isArray(x)) return array(8, x.flatMap(text))
    return array(
      4,
      Array.from(x, (x) => number(4, x)),
    )
  }
  const entries = Object.entries(values)
  const start = [Buffer.from('GGUF'), number(4, 3), number(8, 0), number(8, entries.length)]
  return Buffer.concat([
    ...start,
    ...entries.flatMap(([key, x]) => [...text(key), ...value(x)].flat()),
  ])
}

async function ofMetadata(changes) {
  const { tokenizer, config } = tokenizerOfGguf('model.gguf', metadata(changes))
  return made(tokenizer, { 'tokenizer_config.json': encoded(config) })
}

/** An error with this code, whose message names the place. */
const refused = (code, place) => (error) => {
  assert.ok(error instanceof LokahiError, String(error))
  assert.equal(error.code, code)
  assert.match(error.message, place)
  return true
}

function equal(tokenizer, strings, ids) {
  for (const [i, string] of strings.entries()) {
    assert.deepEqual(tokenizer.encode(string), ids[i], JSON.stringify(string))
  }
}

test('tokenizer.json: ids equal the goldens, and decode to the same text', () => {
  for (const { text, ids } of [...goldens.strings, ...goldens.prompts]) {
    assert.deepEqual(smollm.encode(text), ids, JSON.stringify(text))
    if (!text.includes('<|')) assert.equal(smollm.decode(ids), text)
  }
  for (const { greedy } of Object.values(goldens.adapters)) {
    for (const { ids, text } of greedy) assert.equal(smollm.decode(ids), text)
  }
  // Special tokens, and ids that no token has: embeddings are often padded.
  assert.equal(smollm.decode([1, 19556, 49152, 2, 28]), 'Hello,')
  assert.equal(smollm.decode([2, 1]), '')
  assert.equal(smollm.decode(smollm.encode("a . b ' s n't !")), "a . b ' s n't !")
})

test('metadata of a GGUF file: ids of each kind of pre-tokenizer', async () => {
  for (const [pre, ids] of Object.entries(pres.ids)) {
    const changes = { 'tokenizer.ggml.pre': pre, 'tokenizer.ggml.add_bos_token': false }
    equal(await ofMetadata(changes), pres.strings, ids)
  }
  equal(await ofMetadata({ 'tokenizer.ggml.pre': undefined }), pres.strings, pres.ids.default)
})

test('Digits of tokenizer.json are all numbers of Unicode', async () => {
  const parts = JSON.parse(text)
  const digits = { type: 'Digits', individual_digits: true }
  parts.pre_tokenizer = { type: 'Sequence', pretokenizers: [digits, parts.pre_tokenizer] }
  equal(await made(parts), pres.strings, pres.ids.smollm)
})

test('tokens at the beginning and the end of a text', async () => {
  const ids = smollm.encode('Hello')
  const begun = { 'tokenizer.ggml.pre': 'llama-bpe', 'tokenizer.ggml.add_bos_token': undefined }
  assert.deepEqual((await ofMetadata(begun)).encode('Hello'), [1, ...ids])
  const around = await ofMetadata({
    'tokenizer.ggml.add_bos_token': true,
    'tokenizer.ggml.add_eos_token': true,
  })
  assert.deepEqual(around.encode('Hello'), [1, ...ids, 2])
  assert.deepEqual(around.encode('Hello', { addSpecialTokens: false }), ids)
})

test('metadata that does not hold together is refused by name', () => {
  const wrong = (changes) => () => tokenizerOfGguf('model.gguf', metadata(changes))
  for (const [key, value, code, message] of [
    ['pre', 'deepseek-llm', 'Unsupported', /model\.gguf.*pre.*deepseek-llm.*smollm/],
    ['pre', 'toString', 'Unsupported', /toString/],
    ['model', 'llama', 'Unsupported', /tokenizer\.ggml\.model.*llama.*gpt2/],
    ['tokens', undefined, 'BadConfig', /tokens.*nothing/],
    ['merges', ['a b', 'ab'], 'BadConfig', /merges.*"ab"/],
    ['token_type', [1, 1], 'BadConfig', /token_type.*49152.*2/],
    ['bos_token_id', 49152, 'BadConfig', /bos_token_id.*49152/],
  ]) {
    assert.throws(wrong({ [`tokenizer.ggml.${key}`]: value }), refused(code, message))
  }
  const twice = {
    'tokenizer.ggml.tokens': ['a', 'b', 'a'],
    'tokenizer.ggml.token_type': undefined,
  }
  assert.throws(wrong(twice), refused('BadConfig', /"a" twice/))
  const nameless = {
    'tokenizer.ggml.add_bos_token': true,
    'tokenizer.ggml.bos_token_id': undefined,
  }
  assert.throws(wrong(nameless), refused('BadConfig', /bos_token_id.*nothing/))
  assert.equal(wrong({ 'tokenizer.ggml.model': undefined })(), undefined)
})

test('ids that come one by one: whole characters, and the text of all ids', async () => {
  const texts = [
    ...pres.strings,
    '안녕하세요, 세계! 하와이 말 lōkahi는 조화라는 뜻입니다.',
    '🙂👩‍👩‍👧‍👦🇰🇷 🏳️‍🌈 👍🏽 𝔘𝔫𝔦 𐐷',
    'def f(x):\n\tif x > 1:\n        return x**2 + 1  # ok\n\n\n\nend',
    `${' '.repeat(200)}far${'\n'.repeat(50)}   . ! ' s`,
    'a \ufffd in the text\ufffd\ufffd',
  ]
  for (const text of texts.filter((text) => !text.includes('<'))) {
    const stream = smollm.detokenizer()
    const pieces = smollm.encode(text).map((id) => stream.push(id))
    if (!text.includes('\ufffd')) {
      assert.ok(!pieces.some((piece) => /\ufffd/.test(piece)), JSON.stringify(pieces))
      assert.equal(pieces.join(''), text)
    }
    assert.equal(pieces.join('') + stream.end(), text)
  }
  // Any ids: broken characters, special tokens, ids without a token.
  let state = 1
  const random = (n) => (state = (state * 48271) % 0x7fffffff) % n
  for (let round = 0; round < 200; round++) {
    const most = round % 2 ? 300 : 49_200
    const ids = Array.from({ length: 40 }, () => random(most))
    const stream = smollm.detokenizer()
    const pieces = ids.map((id) => stream.push(id))
    assert.equal(pieces.join('') + stream.end(), smollm.decode(ids), ids.join())
  }
})

test('a decoder that reads the first token in another way', async () => {
  const words = ['<s>', '▁', '▁a', 'b', '<0xEA>', '<0xB0>', '<0x80>']
  const llama = await made({
    added_tokens: [{ id: 0, content: '<s>', special: true }],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(words.map((word, id) => [word, id])),
      merges: [],
      byte_fallback: true,
    },
  })
  assert.equal(llama.decode([0, 2, 3, 1, 2, 4, 5, 6, 2]), 'ab  a가 a')
  for (let code = 0; code < 7 ** 5; code++) {
    const ids = Array.from({ length: 5 }, (_, i) => Math.floor(code / 7 ** i) % 7)
    const stream = llama.detokenizer()
    const pieces = ids.map((id) => stream.push(id))
    assert.equal(pieces.join('') + stream.end(), llama.decode(ids), ids.join())
  }
})

test('a step of a long text decodes a few tokens, not all', () => {
  let decoded = 0
  const stream = new Detokenizer((ids) => {
    decoded += ids.length
    return smollm.decode(ids)
  })
  const ids = smollm.encode('안녕하세요, 세계! Hello, world! '.repeat(100))
  ids.forEach((id) => stream.push(id))
  assert.ok(decoded < 10 * ids.length, `${decoded} for ${ids.length}`)
})

test('a chat by its template', async () => {
  const { messages, text } = goldens.chat
  assert.equal(await smollm.applyChatTemplate(messages, { addGenerationPrompt: true }), text)
  const asked = text.replace('<|im_start|>assistant\n', '')
  assert.equal(await smollm.applyChatTemplate(messages), asked)
  const own = [{ role: 'system', content: 'Be brief.' }, ...messages]
  assert.ok((await smollm.applyChatTemplate(own)).startsWith('<|im_start|>system\nBe brief.<|im_'))

  const fromGguf = await ofMetadata()
  assert.equal(await fromGguf.applyChatTemplate(messages, { addGenerationPrompt: true }), text)

  const none = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null }
  const empty = { ...none, added_tokens: [], model: { type: 'BPE', vocab: {}, merges: [] } }
  const told = async (chat_template, options) => {
    const tokens = { bos_token: { content: '<b>' }, eos_token: '</b>', pad_token: null }
    const files = { 'tokenizer_config.json': encoded({ ...tokens, chat_template }) }
    return (await made(empty, files)).applyChatTemplate(messages, options)
  }
  const tokens = '{{ bos_token }}{{ messages[0].role }}{{ eos_token }}{{ pad_token }}{{ tone }}'
  assert.equal(await told(tokens, { variables: { tone: '!' } }), '<b>user</b>!')
  const named = ['tool_use', 'default'].map((name) => ({ name, template: name }))
  assert.equal(await told(named), 'default')

  await assert.rejects(told(undefined), refused('MissingFile', /chat template/))
  await assert.rejects(told(named.slice(0, 1)), refused('BadFile', /default.*tool_use/))
  await assert.rejects(told('{% for %}'), refused('BadFile', /Jinja/))
  const strict = "{{ raise_exception('roles must alternate') }}"
  await assert.rejects(told(strict), refused('BadArgument', /roles must alternate/))
})

test('files that are no tokenizer are refused by name', async () => {
  await assert.rejects(Tokenizer.fromPretrained({}), refused('MissingFile', /tokenizer\.json/))
  const bad = (name, value) => made({}, { [name]: new TextEncoder().encode(value) })
  await assert.rejects(bad('tokenizer.json', '<html>'), refused('BadFile', /tokenizer\.json.*JSON/))
  await assert.rejects(bad('tokenizer.json', '{}'), refused('BadFile', /tokenizer\.json/))
  await assert.rejects(
    bad('tokenizer_config.json', '{'),
    refused('BadFile', /tokenizer_config\.json/),
  )
})

test('a GGUF file: its tokenizer, none, one that says nonsense', async () => {
  const read = (changes) =>
    Tokenizer.fromPretrained({ 'model.gguf': ggufFile({ ...values, ...changes }) })
  await assert.rejects(read({}), refused('NotInitialised', /init/))
  await init()
  equal(await read({}), pres.strings, pres.ids.smollm)
  // More than is read at first.
  const long = { 'general.description': 'long'.repeat(1_000_000), 'tokenizer.ggml.pre': 'gpt-2' }
  const tokenizer = await read(long)
  equal(tokenizer, pres.strings, pres.ids['gpt-2'])
  const { messages, text } = goldens.chat
  assert.equal(await tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true }), text)
  await assert.rejects(
    read({ 'tokenizer.ggml.tokens': 'text' }),
    refused('BadConfig', /model\.gguf.*tokenizer\.ggml\.tokens.*texts/),
  )
  await assert.rejects(
    read({ 'tokenizer.ggml.pre': 'tekken' }),
    refused('Unsupported', /model\.gguf.*tekken/),
  )
  await assert.rejects(
    Tokenizer.fromPretrained('./tests/fixtures/gguf/every-type.gguf'),
    refused('MissingFile', /tokenizer\.json.*every-type\.gguf/),
  )
  await assert.rejects(
    Tokenizer.fromPretrained({ 'model.gguf': ggufFile(values).subarray(0, 100_000) }),
    refused('BadFile', /model\.gguf/),
  )
})

const gguf = process.env.LOKAHI_SMOLLM2 ?? found('./models/smollm2')
const absent = !gguf && 'no SmolLM2 file: LOKAHI_SMOLLM2 or models/smollm2/*.gguf'

test('the GGUF file of SmolLM2', { skip: absent }, async () => {
  await init()
  const tokenizer = await Tokenizer.fromPretrained(gguf)
  equal(tokenizer, pres.strings, pres.ids.smollm)
  // The goldens come from transformers, which reads `smollm` as `gpt-2`: numbers that are no digits
  // stay with the space before them there.
  for (const { text, ids } of goldens.strings) {
    if (!/[½²Ⅳ]/.test(text)) assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text))
  }
  const { messages, text } = goldens.chat
  assert.equal(await tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true }), text)
})

function found(folder) {
  const name = existsSync(folder) && readdirSync(folder).find((name) => name.endsWith('.gguf'))
  return name ? `${folder}/${name}` : undefined
}
