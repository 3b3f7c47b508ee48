import { LokahiError } from './errors.js'
import type { TokenizerParts } from './tokenizer.js'

/** Getters of the metadata of a GGUF file; `undefined` where a key is absent. */
export interface Metadata {
  text(key: string): string | undefined
  texts(key: string): string[] | undefined
  number(key: string): number | undefined
  numbers(key: string): ArrayLike<number> | undefined
  flag(key: string): boolean | undefined
}

/** How a kind of `tokenizer.ggml.pre` cuts a text before the merges. */
interface Pre {
  /** Each cuts what the one before left: matches and what is between them are apart. */
  splits: readonly string[]
  normalizer?: object
  /** A word that is a token is not built by merges. */
  ignoreMerges?: boolean
  /** Whether a text begins with the token of beginnings, where the file does not say. */
  addBos?: boolean
}

const GPT2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+`

/** The pattern of Llama 3 and Qwen 2, which differ in how many digits are one word. */
const words = (digits: string) =>
  `'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}` +
  `| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`

/**
 * From the `tokenizer.json` of the models that llama.cpp knows by these names (`llama-vocab.cpp`);
 * `default` is its own.
 */
const PRES: Readonly<Record<string, Pre>> = {
  default: { splits: ['[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2, '\\p{N}+', '[0-9][0-9][0-9]'] },
  'gpt-2': { splits: [GPT2] },
  'llama-bpe': { splits: [words('\\p{N}{1,3}')], ignoreMerges: true, addBos: true },
  qwen2: { splits: [words('\\p{N}')], normalizer: { type: 'NFC' } },
  smollm: { splits: ['\\p{N}', GPT2] },
}

// Values of `tokenizer.ggml.token_type`.
const UNKNOWN = 2
const CONTROL = 3
const USER_DEFINED = 4

/**
 * What `tokenizer.json` and `tokenizer_config.json` would hold, from the metadata of a GGUF file
 * (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#tokenizer>); `undefined` where it has
 * no tokenizer. Only byte-level BPE, which is called `gpt2` there.
 */
export function tokenizerOfGguf(file: string, metadata: Metadata): TokenizerParts | undefined {
  const model = metadata.text('tokenizer.ggml.model')
  if (model === undefined) return undefined
  if (model !== 'gpt2') throw unsupported(file, 'tokenizer.ggml.model', model, ['gpt2'])
  const name = metadata.text('tokenizer.ggml.pre') ?? 'default'
  if (!Object.hasOwn(PRES, name)) {
    throw unsupported(file, 'tokenizer.ggml.pre', name, Object.keys(PRES))
  }
  const pre = PRES[name]

  const bad = (key: string, expected: string, got: unknown) =>
    new LokahiError('BadConfig', `${file}: ${key}: expected ${expected}, got ${got}`)
  const need = (key: string) => {
    const texts = metadata.texts(key)
    if (!texts) throw bad(key, 'an array of texts', 'nothing')
    return texts
  }
  const tokens = need('tokenizer.ggml.tokens')
  const merges = need('tokenizer.ggml.merges')
  const types = metadata.numbers('tokenizer.ggml.token_type') ?? []
  if (types.length !== 0 && types.length !== tokens.length) {
    throw bad('tokenizer.ggml.token_type', `${tokens.length} types`, types.length)
  }
  for (const merge of merges) {
    const space = merge.indexOf(' ')
    if (space < 1 || space === merge.length - 1 || space !== merge.lastIndexOf(' ')) {
      throw bad('tokenizer.ggml.merges', 'two tokens with a space between them', `"${merge}"`)
    }
  }
  const vocab: Record<string, number> = Object.create(null)
  for (const [id, token] of tokens.entries()) {
    if (token in vocab) throw bad('tokenizer.ggml.tokens', 'each token once', `"${token}" twice`)
    vocab[token] = id
  }

  const special = (kind: string) => {
    const key = `tokenizer.ggml.${kind}_token_id`
    const id = metadata.number(key)
    if (id === undefined) return undefined
    if (id >= tokens.length) throw bad(key, `less than ${tokens.length}`, id)
    return tokens[id]
  }
  const [bos, eos] = [special('bos'), special('eos')]
  const begins = metadata.flag('tokenizer.ggml.add_bos_token') ?? pre.addBos ?? false
  const ends = metadata.flag('tokenizer.ggml.add_eos_token') ?? false
  const around = (kind: string, added: boolean, token: string | undefined) => {
    if (!added) return []
    if (token === undefined) throw bad(`tokenizer.ggml.${kind}_token_id`, 'a token', 'nothing')
    return [{ SpecialToken: { id: token, type_id: 0 } }]
  }
  const text = { Sequence: { id: 'A', type_id: 0 } }

  const added = tokens.flatMap((content, id) => {
    const type = types[id]
    if (type !== UNKNOWN && type !== CONTROL && type !== USER_DEFINED) return []
    return [{ id, content, normalized: false, special: type !== USER_DEFINED }]
  })
  const split = (Regex: string) => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated' })
  const bytes = { type: 'ByteLevel', add_prefix_space: false, use_regex: false }
  return {
    tokenizer: {
      added_tokens: added,
      normalizer: pre.normalizer ?? null,
      pre_tokenizer: { type: 'Sequence', pretokenizers: [...pre.splits.map(split), bytes] },
      post_processor: {
        type: 'TemplateProcessing',
        single: [...around('bos', begins, bos), text, ...around('eos', ends, eos)],
      },
      decoder: { type: 'ByteLevel' },
      model: { type: 'BPE', vocab, merges, ignore_merges: pre.ignoreMerges ?? false },
    },
    config: {
      bos_token: bos,
      eos_token: eos,
      unk_token: special('unknown'),
      pad_token: special('padding'),
      chat_template: metadata.text('tokenizer.chat_template'),
    },
  }
}

function unsupported(file: string, key: string, got: string, known: string[]): LokahiError {
  const list = known.join(', ')
  return new LokahiError('Unsupported', `${file}: ${key}: got ${got}, supported: ${list}`)
}
