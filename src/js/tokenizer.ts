import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers'

import {
  renderChat,
  type ChatMessage,
  type ChatTemplate,
  type ChatTemplateOptions,
} from './chat.js'
import type { Bytes } from './bytes.js'
import { Detokenizer } from './detokenizer.js'
import { LokahiError, call } from './errors.js'
import { readGgufHeader } from './gguf-header.js'
import { tokenizerOfGguf } from './gguf-tokenizer.js'
import {
  missing,
  openSource,
  readWhole,
  type Folder,
  type LoadOptions,
  type Source,
} from './source.js'

/** What `tokenizer.json` and `tokenizer_config.json` hold. */
export interface TokenizerParts {
  tokenizer: { pre_tokenizer?: PreTokenizer | null; [part: string]: unknown }
  config: { chat_template?: ChatTemplate; [name: string]: unknown }
}

interface PreTokenizer {
  type: string
  [setting: string]: unknown
}

/** How to read a text. */
export interface EncodeOptions {
  /**
   * Adds what the model was trained to see around a text, such as a token at its beginning. A chat
   * template has written them already: false for its text. By default true.
   */
  addSpecialTokens?: boolean
}

/** Text to token ids and back, as `tokenizer.json` or the metadata of a GGUF file says. */
export class Tokenizer {
  readonly #hub: HubTokenizer
  readonly #config: TokenizerParts['config']
  readonly #templateFile: () => Promise<string | undefined>

  private constructor(
    hub: HubTokenizer,
    config: TokenizerParts['config'],
    templateFile: () => Promise<string | undefined>,
  ) {
    this.#hub = hub
    this.#config = config
    this.#templateFile = templateFile
  }

  /** Loads `tokenizer.json` and what belongs to it, or a GGUF file, of which it reads the header. */
  static async fromPretrained(source: Source, options: LoadOptions = {}): Promise<Tokenizer> {
    options.signal?.throwIfAborted()
    const folder = await openSource(source, options)
    const ggufs = folder.names?.filter((name) => /\.gguf$/i.test(name)) ?? []
    // Of several, nothing says which one is the model.
    const gguf = ggufs.length === 1 ? await folder.open(ggufs[0]) : undefined
    const tokenizer = await Tokenizer.find(source, folder, gguf, options)
    if (!tokenizer) throw missing(TOKENIZER, source)
    return tokenizer
  }

  /** That of a folder, or of a GGUF file in it; `undefined` where there is none. @internal */
  static async find(
    source: Source,
    folder: Folder,
    gguf: Bytes | undefined,
    options: LoadOptions,
  ): Promise<Tokenizer | undefined> {
    const parts =
      gguf && !folder.names?.includes(TOKENIZER)
        ? await readGguf(gguf, options.signal)
        : await readJson(folder, options)
    if (!parts) return undefined
    const templateFile = await later(source, folder, options)
    const { file, tokenizer, config } = parts
    try {
      mendDigits(tokenizer.pre_tokenizer)
      return new Tokenizer(new HubTokenizer(tokenizer, config), config, templateFile)
    } catch (cause) {
      const got = (cause as Error).message
      throw new LokahiError('BadFile', `${file}: expected a tokenizer, got: ${got}`, { cause })
    }
  }

  /** The ids of a text. */
  encode(text: string, { addSpecialTokens = true }: EncodeOptions = {}): number[] {
    return this.#hub.encode(text, { add_special_tokens: addSpecialTokens }).ids
  }

  /** Special tokens and ids without a token are left out. */
  decode(ids: readonly number[]): string {
    const known = ids.filter((id) => this.#hub.id_to_token(id) !== undefined)
    if (known.length === 0) return ''
    // The exact text: spaces before full stops are no mistake in code.
    const exact = { skip_special_tokens: true, clean_up_tokenization_spaces: false }
    return this.#hub.decode(known, exact)
  }

  /** For ids that come one by one. */
  detokenizer(): Detokenizer {
    return new Detokenizer((ids) => this.decode(ids))
  }

  /**
   * The text of a chat, for `encode(text, { addSpecialTokens: false })`. The template is
   * `chat_template.jinja`, that of `tokenizer_config.json` or that of the GGUF file.
   */
  async applyChatTemplate(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions = {},
  ): Promise<string> {
    const template = (await this.#templateFile()) ?? this.#config.chat_template
    if (template === undefined) {
      throw new LokahiError('MissingFile', 'this tokenizer came without a chat template')
    }
    return renderChat(template, specialTokens(this.#config), messages, options)
  }
}

const TOKENIZER = 'tokenizer.json'
const CONFIG = 'tokenizer_config.json'
const TEMPLATE = 'chat_template.jinja'

type Found = TokenizerParts & { file: string }

async function readJson(folder: Folder, options: LoadOptions): Promise<Found | undefined> {
  const tokenizer = await readText(folder, TOKENIZER, options)
  if (tokenizer === undefined) return undefined
  const config = await readText(folder, CONFIG, options)
  return {
    file: TOKENIZER,
    tokenizer: json(TOKENIZER, tokenizer),
    config: config === undefined ? {} : json(CONFIG, config),
  }
}

async function readGguf(bytes: Bytes, signal: AbortSignal | undefined): Promise<Found | undefined> {
  const header = await readGgufHeader(bytes, signal)
  try {
    const parts = call(() => tokenizerOfGguf(bytes.name, header))
    return parts && { file: bytes.name, ...parts }
  } finally {
    header.free()
  }
}

/**
 * Reads `chat_template.jinja`; from an address only when it is asked for: most models have none, and
 * a browser reports each file that is missing.
 */
async function later(
  source: Source,
  folder: Folder,
  options: LoadOptions,
): Promise<() => Promise<string | undefined>> {
  // By then the load is over, and with it what its signal and progress were for.
  const quiet = { ...options, signal: undefined, onProgress: undefined }
  if (!folder.names) return async () => readText(await openSource(source, quiet), TEMPLATE, quiet)
  const text = await readText(folder, TEMPLATE, options)
  return async () => text
}

async function readText(
  folder: Folder,
  name: string,
  options: LoadOptions,
): Promise<string | undefined> {
  const bytes = await folder.open(name, 'whole')
  options.signal?.throwIfAborted()
  return bytes && new TextDecoder().decode(await readWhole(bytes, options))
}

function json<T>(file: string, text: string): T {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const got = (cause as Error).message
    throw new LokahiError('BadFile', `${file}: expected JSON, got: ${got}`, { cause })
  }
}

/**
 * The library's `Digits` knows 0 to 9 alone; in the Rust library, which models are trained with, it
 * cuts at all that Unicode calls a number.
 */
function mendDigits(step: PreTokenizer | null | undefined): void {
  if (step?.type === 'Sequence') {
    for (const each of step.pretokenizers as PreTokenizer[]) mendDigits(each)
  } else if (step?.type === 'Digits') {
    const Regex = step.individual_digits ? '\\p{N}' : '\\p{N}+'
    Object.assign(step, { type: 'Split', pattern: { Regex }, behavior: 'Isolated' })
  }
}

/** `bos_token`, `eos_token` and the others, each a text or an object with its text. */
function specialTokens(config: TokenizerParts['config']): Record<string, string> {
  const texts = Object.entries(config).flatMap(([name, value]) => {
    if (!name.endsWith('_token')) return []
    const text = (value as { content?: unknown } | null | undefined)?.content ?? value
    return typeof text === 'string' ? [[name, text] as const] : []
  })
  return Object.fromEntries(texts)
}
