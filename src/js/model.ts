import { Adapter } from './adapter.js'
import { breather } from './breathe.js'
import { engine, openDevice, type Backend } from './engine.js'
import { LokahiError, call, wait } from './errors.js'
import { CoreModel, CoreSampler } from './lokahi.js'
import { readFolder, type LoadOptions, type Source } from './source.js'
import { Tokenizer } from './tokenizer.js'

export interface ModelConfig {
  architecture: string
  hiddenSize: number
  layers: number
  heads: number
  keyValueHeads: number
  headSize: number
  intermediateSize: number
  vocabularySize: number
  /** Tokens that a text may have. */
  context: number
  tiedEmbedding: boolean
  bosTokenId?: number
  eosTokenIds: number[]
  /** Numbers in the model; a tied embedding counts once. */
  parameters: number
}

export interface ModelOptions extends LoadOptions {
  /** Where to compute; by default what `init` chose. */
  device?: Backend
  /** Tokens that a text may have, at most what the model was made for. */
  context?: number
}

export interface GenerateOptions {
  /** Tokens to generate at most; by default 64. */
  maxTokens?: number
  /** 0 (the default) takes the most likely token each time; 1 samples the model's distribution. */
  temperature?: number
  /** Only the `k` most likely tokens; 0 (the default) is no limit. */
  topK?: number
  /** Only the most likely tokens that together reach this probability; 1 (the default) is no limit. */
  topP?: number
  /** The same seed gives the same text; by default 0. */
  seed?: number
  /** Rejects with `AbortError`. */
  signal?: AbortSignal
}

/** A small language model with any number of adapters. */
export class Model {
  readonly backend: Backend
  readonly config: ModelConfig
  /** Numbers in the model. */
  readonly parameters: number
  /** The weights that adapters may change, `[out, in]`. */
  readonly modules: readonly { name: string; shape: [number, number] }[]
  readonly #tokenizer: Tokenizer | undefined
  #core: CoreModel | undefined

  private constructor(core: CoreModel, backend: Backend, tokenizer: Tokenizer | undefined) {
    this.#core = core
    this.#tokenizer = tokenizer
    this.backend = backend
    this.config = call(() => core.config())
    this.parameters = this.config.parameters
    this.modules = call(() => core.modules())
  }

  /** Loads `config.json`, `model.safetensors` and, where it is there, `tokenizer.json`. */
  static async fromPretrained(source: Source, options: ModelOptions = {}): Promise<Model> {
    const chosen = engine()
    const backend = options.device ?? chosen.backend
    const needed = ['config.json', 'model.safetensors']
    const folder = await readFolder(source, needed, [], options)
    const tokenizer = await Tokenizer.find(source, options)
    const device = backend === 'webgpu' ? await openDevice() : undefined
    options.signal?.throwIfAborted()
    const core = call(() =>
      device
        ? CoreModel.readOnDevice(folder, options.context, device)
        : CoreModel.readOnCpu(folder, options.context),
    )
    options.onProgress?.({ status: 'ready', file: '', loaded: 0, total: 0, progress: 100 })
    return new Model(core, backend, tokenizer)
  }

  /** Loads an adapter under a name. It changes nothing until `setAdapters`. */
  async loadAdapter(
    source: Source | Adapter,
    options: LoadOptions & { name: string },
  ): Promise<Adapter> {
    const { name } = options
    if (typeof name !== 'string' || name === '') {
      throw new LokahiError('BadArgument', `name: expected a text, got ${JSON.stringify(name)}`)
    }
    const adapter =
      source instanceof Adapter ? source : await Adapter.load(source, { ...options, whole: true })
    try {
      const { opened } = adapter
      if (adapter.format !== 'PEFT') {
        // Other programs have names of their own for the weights.
        const base = call(() => this.#open().base())
        call(() => opened.core.resolve(base))
        base.free()
      }
      const data = await opened.data(options)
      try {
        call(() => this.#open().loadAdapter(name, data))
      } finally {
        data.free()
      }
    } catch (error) {
      if (adapter !== source) adapter.dispose()
      throw error
    }
    return adapter
  }

  /** Names of the loaded adapters. */
  get adapters(): string[] {
    return call(() => this.#open().adapters())
  }

  /**
   * Makes exactly these adapters active, each at its strength (by default 1, as trained). Nothing is
   * loaded or compiled; a text that is being generated goes on with them.
   */
  setAdapters(names: readonly string[], strengths?: readonly number[]): void {
    const each = strengths ?? names.map(() => 1)
    call(() => this.#open().setAdapters([...names], Float32Array.from(each)))
  }

  /** Runs the base alone. */
  disableAdapters(): void {
    this.setAdapters([])
  }

  /** Adds the active adapters into a copy of the weights they change. */
  mergeAdapters(): void {
    call(() => this.#open().mergeAdapters())
  }

  /** Back to the base weights, which merging never touches; the adapters are active again. */
  unmergeAdapters(): void {
    call(() => this.#open().unmergeAdapters())
  }

  /** Whether adapters are merged. */
  get merged(): boolean {
    return call(() => this.#open().merged)
  }

  /** Frees an adapter. */
  deleteAdapter(name: string): void {
    call(() => this.#open().deleteAdapter(name))
  }

  /** Text to token ids and back. */
  get tokenizer(): Tokenizer {
    if (!this.#tokenizer) {
      throw new LokahiError('MissingFile', 'this model came without tokenizer.json: use token ids')
    }
    return this.#tokenizer
  }

  /** Continues a prompt, piece by piece. Breaking off the loop stops it. */
  async *generate(
    prompt: string | readonly number[],
    options: GenerateOptions = {},
  ): AsyncGenerator<string, void, void> {
    const { tokenizer } = this
    const prompted = typeof prompt === 'string' ? tokenizer.encode(prompt) : prompt
    const detokenizer = tokenizer.detokenizer()
    for await (const id of this.generateIds(prompted, options)) {
      const text = detokenizer.push(id)
      if (text) yield text
    }
    const rest = detokenizer.end()
    if (rest) yield rest
  }

  /** Continues token ids, one by one, without the token that ends the text. */
  async *generateIds(
    prompt: readonly number[],
    options: GenerateOptions = {},
  ): AsyncGenerator<number, void, void> {
    const { maxTokens = 64, temperature = 0, topK = 0, topP = 1, seed = 0, signal } = options
    signal?.throwIfAborted()
    const { context, eosTokenIds } = this.config
    const capacity = Math.min(context, prompt.length + Math.max(0, maxTokens))
    const sampler = call(() => new CoreSampler(temperature, topK, topP, seed))
    const breathe = breather()
    let session
    try {
      session = call(() => this.#open().session(Math.max(capacity, prompt.length)))
      let next = Uint32Array.from(checked(prompt))
      for (let length = prompt.length; length < capacity; length++) {
        const text = session
        const read = await wait<Float32Array>(() =>
          sampler.greedy
            ? this.#open().advanceGreedy(text, next)
            : this.#open().advance(text, next),
        )
        signal?.throwIfAborted()
        const id = sampler.greedy ? (read[0] as number) : call(() => sampler.pick(read))
        if (eosTokenIds.includes(id)) return
        yield id
        next = Uint32Array.of(id)
        await breathe()
        signal?.throwIfAborted()
      }
    } finally {
      session?.free()
      sampler.free()
    }
  }

  /** Logits of every token, for tests and tools. */
  async forward(
    ids: readonly number[],
  ): Promise<{ logits: Float32Array; shape: [number, number] }> {
    const core = this.#open()
    const logits = await wait<Float32Array>(() => core.logits(Uint32Array.from(checked(ids))))
    return { logits, shape: [ids.length, this.config.vocabularySize] }
  }

  /** Frees its memory; a text that is being generated rejects. May be called again. */
  dispose(): void {
    this.#core?.free()
    this.#core = undefined
  }

  #open(): CoreModel {
    if (!this.#core) throw new LokahiError('Disposed', 'this model was disposed')
    return this.#core
  }

  static {
    // Older browsers have no Symbol.dispose.
    if (Symbol.dispose) this.prototype[Symbol.dispose] = this.prototype.dispose
  }
}

export interface Model {
  [Symbol.dispose](): void
}

/** Whole numbers from 0 on: a typed array would wrap the rest silently. */
function checked(ids: readonly number[]): readonly number[] {
  const strange = ids.find((id) => !Number.isInteger(id) || id < 0 || id > 0xffff_ffff)
  if (strange !== undefined) {
    throw new LokahiError('BadArgument', `ids: expected whole numbers from 0, got ${strange}`)
  }
  return ids
}
