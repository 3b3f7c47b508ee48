import type { Base } from './base.js'
import type { Bytes, How } from './bytes.js'
import { engine, loadTools } from './engine.js'
import { LokahiError, call } from './errors.js'
import * as core from './lokahi.js'
import type { CoreAdapter as ToolsAdapter } from './lokahi_tools.js'
import { Opened, type Opening } from './opened.js'
import {
  missing,
  openSource,
  readWhole,
  type Folder,
  type LoadOptions,
  type Source,
} from './source.js'
import {
  resize,
  save,
  type Format,
  type Resized,
  type ResizeOptions,
  type Saved,
  type SaveOptions,
} from './tools.js'

/** How the change of a weight is put together from its factors. */
export type Method = 'LoRA' | 'LoHa' | 'LoKr'

/** What an adapter does to one weight. */
export interface AdapterModule {
  /** Path in the base model, or what the file calls it until `resolve` has run. */
  name: string
  /** What its factors are. */
  method: Method
  /** `[out, in]` of the weight; a convolution's kernel counts into `in`. */
  shape: [number, number]
  /** That of the factors, as PEFT names it; a LoHa can reach its square. */
  rank: number
  /** As stored, or what stands for it where the file has none. */
  alpha: number
  /** What multiplies the product: `alpha / rank`, or `alpha / sqrt(rank)` with rsLoRA. */
  scale: number
  /** How many numbers the factors hold. */
  parameters: number
  /** The largest rank that the change can have. */
  rankBound: number
  /** How the factors are stored: `F32`, `F16`, `BF16` or `mixed`. */
  dtype: string
  /** What kind of weight it changes. */
  layer: 'linear' | 'embedding' | 'conv' | 'expert'
  /** Lengths of a convolution's kernel, where the factors tell them. */
  kernel: number[]
  /** Whether a DoRA magnitude comes with the factors. */
  dora: boolean
  /** Whether a `lora_bias` comes with the factors. */
  bias: boolean
  /** The stored factors by PEFT's names. */
  tensors: {
    /** By PEFT's word, as `lora_A`. */
    name: string
    /** As stored, row-major. */
    shape: number[]
  }[]
}

/** A tensor that takes the place of the base's: `modules_to_save`, trained biases and rows. */
export interface WholeTensor {
  /** Of the tensor of the base. */
  name: string
  /** As stored, row-major. */
  shape: number[]
  /** As stored: `F32`, `F16` or `BF16`. */
  dtype: string
}

/** Something that its owner should know of a file. */
export interface AdapterWarning {
  /** Stable, as `NoAlpha`. */
  code: string
  /** Empty for the whole file. */
  module: string
  /** In English, for people. */
  message: string
}

/** The singular values of a change, scale included, and the ranks they give. */
export interface Spectrum {
  /** Descending. */
  singularValues: number[]
  /** The largest rank that the change can have. */
  rankBound: number
  /** Singular values above `threshold` times the largest. */
  numericalRank: number
  /** `|dW|_F^2 / sigma_1^2`. */
  stableRank: number
  /** `exp(entropy of sigma^2 / sum sigma^2)`. */
  entropyRank: number
  /** Of `numericalRank`, relative to the largest singular value. */
  threshold: number
  /** The root of the sum of all squares of the change. */
  frobeniusNorm: number
  /** The largest singular value. */
  spectralNorm: number
  /** `alpha / rank`. */
  alphaPerRank: number
  /** Share of the energy in the first `k + 1` directions. */
  energy: number[]
}

/** Something that is wrong with numbers of a module. */
export interface Finding {
  /** Stable. */
  code: 'NotANumber' | 'Infinite' | 'NeverTrained' | 'ZeroFactor' | 'ZeroScale' | 'FusedParts'
  /** The factor, by PEFT's word. */
  tensor: string
  /** How many numbers it concerns; of `FusedParts`, how many parts. */
  count: number
  /** Flat index of the first. */
  first: number
}

/** How to read what kohya and LyCORIS files leave open; each default is told in a warning. */
export interface Conventions {
  /** Alpha of modules without one; by default their rank, a scale of 1. */
  alpha?: number
  /** `r` of a LoKr whose factors are both whole; by default its scale is 1, whatever alpha says. */
  wholeLokrRank?: number
  /** The axis of a `dora_scale` that fits both; by default the outputs. */
  doraAxis?: 'out' | 'in'
}

/** How to find and read an adapter. */
export interface AdapterOptions extends LoadOptions {
  /** What to read where a file leaves it open. */
  conventions?: Conventions
  /** The adapter's name, where a folder holds several in folders of their own. */
  subfolder?: string
  /** All of the file will be read, as to run it: one request instead of several. */
  whole?: boolean
}

/** What `inspect` tells. */
export interface Inspection {
  /** `PEFT`, `LyCORIS`, `kohya`, `diffusers` or `GGUF`. */
  format: string
  /** Each that occurs, once. */
  methods: Method[]
  /** What it does to each weight. */
  modules: Omit<AdapterModule, 'tensors'>[]
  /** Tensors that take the place of the base's. */
  whole: WholeTensor[]
  /** How many numbers the factors of all modules hold. */
  parameters: number
  /** Of the file. */
  bytes: number
  /** Texts of the file's header, as they are. */
  metadata: Record<string, string>
  /** What its owner should know. */
  warnings: readonly AdapterWarning[]
}

const CONFIG = 'adapter_config.json'
const FILES = [
  'adapter_model.safetensors',
  'adapter.safetensors',
  'pytorch_lora_weights.safetensors',
]

/**
 * An adapter without a model: to inspect, measure, convert and merge. Its header is read when it is
 * loaded; numbers are read from the file when they are asked for.
 */
export class Adapter {
  /** `PEFT`, `LyCORIS`, `kohya`, `diffusers` or `GGUF`. */
  readonly format: string
  /** Texts of the file's header, as they are: never markup. */
  readonly metadata: Readonly<Record<string, string>>
  /** Tensors that take the place of the base's. */
  readonly whole: readonly WholeTensor[]
  /** Bytes of the file. */
  readonly bytes: number
  #modules: readonly AdapterModule[] = []
  #warnings: readonly AdapterWarning[] = []
  readonly #opening: Opening
  /** In the wasm of models. */
  readonly #opened: Opened
  /** In the wasm of the tools, once one was used. */
  #inTools: Promise<Opened<ToolsAdapter>> | undefined
  #prefixes: string[] = []
  /** Whether the modules have the names of a base, which the tools gave them. */
  #resolved = false

  private constructor(opening: Opening, opened: Opened) {
    this.#opening = opening
    this.#opened = opened
    this.bytes = opening.file.size
    this.format = opened.core.format
    this.metadata = call(() => opened.core.metadata())
    this.whole = call(() => opened.core.whole())
    this.#show(opened)
  }

  /**
   * Reads the header of an adapter: a PEFT folder (`adapter_config.json` and
   * `adapter_model.safetensors`), a safetensors file of kohya, LyCORIS or diffusers, or a GGUF file.
   */
  static async load(source: Source, options: AdapterOptions = {}): Promise<Adapter> {
    engine()
    options.signal?.throwIfAborted()
    const folder = within(await openSource(source, options), options.subfolder)
    const config = await folder.open(CONFIG, 'whole')
    const opening = {
      file: await find(folder, config !== undefined, source, options.whole ? 'whole' : 'parts'),
      config: config && (await readWhole(config, options)),
      conventions: options.conventions,
    }
    return new Adapter(opening, await Opened.open(core, opening, options))
  }

  /** What it does to each weight. */
  get modules(): readonly AdapterModule[] {
    return this.#modules
  }

  /** What its owner should know of the file. */
  get warnings(): readonly AdapterWarning[] {
    return this.#warnings
  }

  /** How many numbers the factors of all modules hold. */
  get parameters(): number {
    return this.#modules.reduce((sum, module) => sum + module.parameters, 0)
  }

  /** Everything that the header tells, as plain data. */
  inspect(): Inspection {
    const modules = this.#modules.map(({ tensors, ...module }) => module)
    const { format, whole, parameters, bytes, metadata, warnings } = this
    const methods = [...new Set(modules.map(({ method }) => method))].sort()
    return { format, methods, modules, whole: [...whole], parameters, bytes, metadata, warnings }
  }

  /** Singular values and ranks of a module's change. `threshold` is relative to the largest. */
  async spectrum(
    module: string,
    options: { threshold?: number; signal?: AbortSignal } = {},
  ): Promise<Spectrum> {
    const { threshold, signal } = options
    const opened = await this.inTools()
    return opened.withModule(module, (core) => core.spectrum(module, threshold), signal)
  }

  /** NaN, infinities, factors of zeros, modules that were never trained. */
  async findings(module: string, options: { signal?: AbortSignal } = {}): Promise<Finding[]> {
    const opened = await this.inTools()
    return opened.withModule(module, (core) => core.findings(module), options.signal)
  }

  /**
   * Gives the modules the names of a base model, and compares shapes. A module that does not fit is
   * an error for all.
   */
  async resolve(base: Base): Promise<void> {
    const opened = await this.inTools()
    call(() => opened.core.resolve(base.core()))
    this.#resolved = true
    this.#show(opened)
  }

  /** Leaves out the modules whose names do not begin so; returns how many. */
  async retain(prefix: string): Promise<number> {
    const opened = await this.#current()
    const out = call(() => opened.core.retain(prefix))
    if (opened !== this.#opened) call(() => this.#opened.core.retain(prefix))
    this.#prefixes.push(prefix)
    this.#show(opened)
    return out
  }

  /** The files of this adapter in a format. What the format cannot hold exactly is an error. */
  async save(format: Format, options: SaveOptions = {}): Promise<Saved> {
    return save(this, format, options)
  }

  /** The best LoRA of smaller rank for each module, whatever its method. */
  async resize(options: ResizeOptions): Promise<Resized> {
    return resize(this, options)
  }

  /** The file. @internal */
  get file(): Bytes {
    return this.#opening.file
  }

  /** In the wasm of models, by the names of the file. @internal */
  get opened(): Opened {
    return this.#opened
  }

  /** In the wasm of the tools, by the names of the base that was resolved last. @internal */
  async inTools(): Promise<Opened<ToolsAdapter>> {
    this.#opened.core
    this.#inTools ??= loadTools().then(async (tools) => {
      const opened = await Opened.open(tools, this.#opening, {})
      for (const prefix of this.#prefixes) opened.core.retain(prefix)
      return opened
    })
    try {
      return await this.#inTools
    } catch (error) {
      this.#inTools = undefined
      throw error
    }
  }

  /** The one whose names are shown. */
  async #current(): Promise<Opened> {
    return this.#resolved ? this.inTools() : this.#opened
  }

  #show({ core }: Opened): void {
    this.#modules = call(() => core.modules())
    this.#warnings = call(() => core.warnings())
  }

  /** Frees its memory. May be called again. */
  dispose(): void {
    this.#opened.dispose()
    this.#inTools?.then((opened) => opened.dispose()).catch(() => undefined)
  }

  static {
    // Older browsers have no Symbol.dispose.
    if (Symbol.dispose) this.prototype[Symbol.dispose] = this.prototype.dispose
  }
}

export interface Adapter {
  /** As {@link Adapter.dispose}, for `using`. */
  [Symbol.dispose](): void
}

/** The folder of one of several adapters. */
function within(folder: Folder, name: string | undefined): Folder {
  if (name === undefined) return folder
  return { open: (file, how) => folder.open(`${name}/${file}`, how) }
}

/** The file of an adapter: by its usual name, or the only one that may be it. */
async function find(folder: Folder, peft: boolean, source: Source, how: How): Promise<Bytes> {
  const names = peft ? FILES.slice(0, 1) : FILES
  for (const name of names) {
    const file = await folder.open(name, how)
    if (file) return file
  }
  const files = folder.names?.filter((name) => /\.(safetensors|gguf)$/i.test(name)) ?? []
  const [only, another] = files
  if (another !== undefined) {
    throw new LokahiError('BadArgument', `source: expected one adapter, got ${files.join(', ')}`)
  }
  const file = only === undefined ? undefined : await folder.open(only, how)
  if (!file) throw missing(names.join(' or '), source)
  return file
}
