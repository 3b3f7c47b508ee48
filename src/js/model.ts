import { Adapter } from './adapter.js'
import { breathe } from './breathe.js'
import { Checkpoint } from './checkpoint.js'
import { engine, openDevice, type Backend } from './engine.js'
import { LokahiError, call, wait, whole } from './errors.js'
import {
  CoreCosts,
  CoreSampler,
  type CoreAdapterData,
  type CoreBatch,
  type CoreModel,
} from './lokahi.js'
import { costs, toPlan, type CorePlan, type Plan } from './plan.js'
import { openSource, type LoadOptions, type Source } from './source.js'
import { Tokenizer } from './tokenizer.js'

/** The shape of a model. */
export interface ModelConfig {
  /** As `config.json` names it. */
  architecture: string
  /** Numbers of a token between layers. */
  hiddenSize: number
  /** How many. */
  layers: number
  /** Of queries, in each layer. */
  heads: number
  /** Of keys and values; each serves `heads / keyValueHeads` of the queries. */
  keyValueHeads: number
  /** Numbers of a head. */
  headSize: number
  /** Numbers of a token inside the feed-forward part. */
  intermediateSize: number
  /** How many tokens there are. */
  vocabularySize: number
  /** Tokens that a text may have. */
  context: number
  /** Whether the embedding table is the output head too. */
  tiedEmbedding: boolean
  /** The token that a text begins with, where there is one. */
  bosTokenId?: number
  /** Tokens that end a text. */
  eosTokenIds: number[]
  /** Numbers in the model; a tied embedding counts once. */
  parameters: number
}

/** How to find and run a model. */
export interface ModelOptions extends LoadOptions {
  /** Where to compute; by default what `init` chose. */
  device?: Backend
  /** Tokens that a text may have, at most what the model was made for. */
  context?: number
}

/** How to continue a text. */
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

/** Adapters by name, each with its strength. */
export type Mix = Readonly<Record<string, number>>

/** What came of one text of a comparison. */
export interface Compared {
  /** Which of the texts, from 0. */
  row: number
  /** The new token; none where only the rest of a character came, at the end. */
  id?: number
  /** What it adds to the text; empty in the middle of a character. */
  text: string
  /** Whether the text ends here. */
  ended: boolean
}

/** What a model says of the token after each of a text. */
export interface Logits {
  /** Row-major. */
  logits: Float32Array
  /** `[tokens, vocabulary]`. */
  shape: [number, number]
}

/** A plan for the weights that read one input together. */
export interface Explained extends Plan {
  /** Names of the weights, as in `modules`. */
  modules: string[]
}

/** Tokens of a prompt that go through the model at once; between them it can be stopped. */
const CHUNK = 128

/** A small language model with any number of adapters. */
export class Model {
  /** What it runs on. */
  readonly backend: Backend
  /** Its shape. */
  readonly config: ModelConfig
  /** Numbers in the model. */
  readonly parameters: number
  /** The weights that adapters may change, `[out, in]`. */
  readonly modules: readonly {
    /** Path in the model, as PEFT names it. */
    name: string
    /** `[out, in]`. */
    shape: [number, number]
  }[]
  readonly #tokenizer: Tokenizer | undefined
  readonly #checkpoint: Checkpoint
  #core: CoreModel | undefined
  /** On a device: what is loaded, for the case that it is lost. */
  readonly #loaded = new Map<string, CoreAdapterData>()
  /** Strengths of the active adapters. */
  #active: ReadonlyMap<string, number> = new Map()

  private constructor(
    core: CoreModel,
    backend: Backend,
    checkpoint: Checkpoint,
    tokenizer: Tokenizer | undefined,
  ) {
    this.#core = core
    this.#checkpoint = checkpoint
    this.#tokenizer = tokenizer
    this.backend = backend
    this.config = call(() => core.config())
    this.parameters = this.config.parameters
    this.modules = call(() => core.modules())
  }

  /**
   * Loads a GGUF file, or `config.json` with `model.safetensors` or its shards; and, where it is
   * there, the tokenizer.
   */
  static async fromPretrained(source: Source, options: ModelOptions = {}): Promise<Model> {
    const chosen = engine()
    const { onProgress, signal, context } = options
    const backend = options.device ?? chosen.backend
    const device = backend === 'webgpu' ? await openDevice() : undefined
    signal?.throwIfAborted()
    const folder = await openSource(source, options)
    const checkpoint = await Checkpoint.open(folder, source, device !== undefined, options)
    const { gguf } = checkpoint
    // The numbers of a GGUF file come through `load`, which compares their hash.
    const found = gguf ? { ...options, sha256: undefined } : options
    let tokenizer
    try {
      tokenizer = await Tokenizer.find(source, folder, gguf, found)
    } catch (error) {
      await checkpoint.close()
      throw error
    }
    const core = await checkpoint.load(device, context, options)
    onProgress?.({ status: 'ready', file: '', loaded: 0, total: 0, progress: 100 })
    return new Model(core, backend, checkpoint, tokenizer)
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
      await this.#load(name, await opened.data(options))
    } catch (error) {
      if (adapter !== source) adapter.dispose()
      throw error
    }
    return adapter
  }

  /** Takes the numbers of an adapter, which are kept where a device may be lost. */
  async #load(name: string, data: CoreAdapterData): Promise<void> {
    try {
      call(() => this.#open().loadAdapter(name, data))
    } catch (error) {
      data.free()
      throw error
    }
    if (this.backend === 'cpu') return data.free()
    this.#loaded.set(name, data)
    await wait<unknown>(() => this.#open().settled()).catch((error) => {
      if (this.#loaded.get(name) === data) this.#forget(name)
      throw error
    })
  }

  #forget(name: string): void {
    this.#loaded.get(name)?.free()
    this.#loaded.delete(name)
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
    const each = Float32Array.from(strengths ?? names.map(() => 1))
    call(() => this.#open().setAdapters([...names], each))
    this.#active = new Map(names.map((name, at) => [name, each[at]]))
  }

  /** Runs the base alone. */
  disableAdapters(): void {
    this.setAdapters([])
  }

  /** Adds the active adapters into an F32 copy of the weights they change; returns its bytes. */
  mergeAdapters(): number {
    const before = this.memory.bytes
    call(() => this.#open().mergeAdapters())
    return this.memory.bytes - before
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
    this.#forget(name)
    this.#active = new Map([...this.#active].filter(([active]) => active !== name))
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
    for await (const [id] of this.#texts(prompt, undefined, options)) {
      if (id !== undefined) yield id
    }
  }

  /**
   * Continues a prompt once for each mix of adapters, all of them in one batch, so that the weights
   * of the base are read once a token for all. Each text is what `generate` gives with its adapters
   * alone. Adapters must not be merged.
   */
  async *compare(
    prompt: string | readonly number[],
    mixes: readonly Mix[],
    options: GenerateOptions = {},
  ): AsyncGenerator<Compared, void, void> {
    const { tokenizer } = this
    const prompted = typeof prompt === 'string' ? tokenizer.encode(prompt) : prompt
    const writers = mixes.map(() => tokenizer.detokenizer())
    const open = new Set(mixes.keys())
    const end = (row: number): Compared => {
      open.delete(row)
      return { row, text: writers[row].end(), ended: true }
    }
    for await (const ids of this.#texts(prompted, mixes, options)) {
      for (const row of open) {
        const id = ids[row]
        yield id === undefined ? end(row) : { row, id, text: writers[row].push(id), ended: false }
      }
    }
    for (const row of open) yield end(row)
  }

  /** The next token of each text, `undefined` of those that have ended. */
  async *#texts(
    prompt: readonly number[],
    mixes: readonly Mix[] | undefined,
    options: GenerateOptions,
  ): AsyncGenerator<(number | undefined)[], void, void> {
    const { maxTokens = 64, temperature = 0, topK = 0, topP = 1, seed = 0, signal } = options
    signal?.throwIfAborted()
    const { context, eosTokenIds, vocabularySize } = this.config
    const rows = mixes?.length ?? 1
    const capacity = Math.min(context, prompt.length + Math.max(0, maxTokens))
    const samplers: CoreSampler[] = []
    const core = this.#open()
    let batch: CoreBatch | undefined
    try {
      // One for each text: with the same seed it is what it would be alone.
      for (let row = 0; row < rows; row++) {
        samplers.push(call(() => new CoreSampler(temperature, topK, topP, seed)))
      }
      const greedy = samplers.every((sampler) => sampler.greedy)
      batch = call(() =>
        core.batch(
          Math.max(capacity, prompt.length),
          Uint32Array.from(mixes ?? [], (mix) => Object.keys(mix).length),
          (mixes ?? []).flatMap(Object.keys),
          Float32Array.from((mixes ?? []).flatMap((mix) => Object.values(mix))),
        ),
      )
      const texts = batch
      const advance = async (next: readonly (readonly number[])[]) => {
        if (this.#open() !== core) {
          throw new LokahiError('DeviceLost', 'the device was lost while this text was written')
        }
        const counts = Uint32Array.from(next, (ids) => ids.length)
        const read = await wait<Float32Array>(() =>
          core.advance(texts, counts, Uint32Array.from(next.flat()), greedy),
        )
        await breathe()
        signal?.throwIfAborted()
        return read
      }
      let next: readonly (readonly number[])[] = samplers.map(() => checked(prompt))
      // A prompt without tokens is an error of the core.
      for (let at = CHUNK; at < prompt.length; at += CHUNK) {
        await advance(next.map((ids) => ids.slice(0, CHUNK)))
        next = next.map((ids) => ids.slice(CHUNK))
      }
      for (let length = prompt.length; length < capacity; length++) {
        const read = await advance(next)
        let at = 0
        const ids = next.map((before, row) => {
          if (before.length === 0) return undefined
          const first = at++ * (greedy ? 1 : vocabularySize)
          const id = greedy
            ? read[first]
            : call(() => samplers[row].pick(read.subarray(first, first + vocabularySize)))
          return eosTokenIds.includes(id) ? undefined : id
        })
        if (ids.every((id) => id === undefined)) return
        yield ids
        signal?.throwIfAborted()
        next = ids.map((id) => (id === undefined ? [] : [id]))
      }
    } finally {
      batch?.free()
      for (const sampler of samplers) sampler.free()
    }
  }

  /** Logits of every token, for tests and tools. */
  async forward(ids: readonly number[]): Promise<Logits> {
    const core = this.#open()
    const logits = await wait<Float32Array>(() => core.logits(Uint32Array.from(checked(ids))))
    return { logits, shape: [ids.length, this.config.vocabularySize] }
  }

  /**
   * After `DeviceLost`, or `Device` where the GPU refused memory: opens a device again and loads the
   * same model and adapters onto it, from where the files are on this machine. Texts on their way are
   * lost. Does nothing while all is well.
   */
  async recover(options: LoadOptions = {}): Promise<void> {
    const lost = this.#open()
    if (!lost.lost) return
    const device = await openDevice()
    const core = await this.#checkpoint.load(device, this.config.context, options)
    try {
      call(() => {
        for (const [name, data] of this.#loaded) core.loadAdapter(name, data)
        core.setAdapters([...this.#active.keys()], Float32Array.from(this.#active.values()))
        if (lost.merged) core.mergeAdapters()
      })
      // It may have been disposed of, or recovered, in the meantime.
      if (this.#open() !== lost) throw new LokahiError('Disposed', 'this model was recovered twice')
    } catch (error) {
      core.free()
      throw error
    }
    this.#core = core
    lost.free()
  }

  /**
   * For each product that the active adapters change: what runs best on `rows` tokens, and why. The
   * device is measured for it, once: about a second.
   */
  async explain({ rows = 1 }: { rows?: number } = {}): Promise<Explained[]> {
    whole('rows', rows, 1, 2 ** 31)
    type Core = { modules: number[]; plan: CorePlan }
    const plans = (costs: CoreCosts) => call<Core[]>(() => this.#open().plan(costs, rows))
    // Which dtypes it has: the plan tells without any costs.
    const nothing = new CoreCosts(new Float64Array())
    const bases = plans(nothing).map(({ plan }) => plan.base)
    nothing.free()
    const device = this.backend === 'webgpu' ? await openDevice() : undefined
    const measured = await costs(device, ['call', 'F32', 'lora', 'loha', 'lokr', ...bases])
    try {
      return plans(measured).map(({ modules, plan }) => ({
        modules: modules.map((at) => this.modules[at].name),
        ...toPlan(plan),
      }))
    } finally {
      measured.free()
    }
  }

  /** What weights and adapters take, in bytes; on a device all other buffers too. */
  get memory(): {
    /** How many. */
    buffers: number
    /** Of all of them. */
    bytes: number
  } {
    const [buffers, bytes] = call(() => this.#open().memory())
    return { buffers, bytes }
  }

  /** Frees its memory; a text that is being generated rejects. May be called again. */
  dispose(): void {
    this.#core?.free()
    this.#core = undefined
    for (const data of this.#loaded.values()) data.free()
    this.#loaded.clear()
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
  /** As {@link Model.dispose}, for `using`. */
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
