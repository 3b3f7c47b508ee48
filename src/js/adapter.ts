import type { Base } from './base.js'
import { readParts, type Bytes } from './bytes.js'
import { engine } from './engine.js'
import { LokahiError, call } from './errors.js'
import { readHeader } from './header.js'
import { CoreAdapter, type CoreAdapterData, type CoreFile } from './lokahi.js'
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
  type ResizedModule,
  type ResizeOptions,
  type Saved,
  type SaveOptions,
} from './tools.js'

export type Method = 'LoRA' | 'LoHa' | 'LoKr'

/** What an adapter does to one weight. */
export interface AdapterModule {
  /** Path in the base model, or what the file calls it until `resolve` has run. */
  name: string
  method: Method
  /** `[out, in]` of the weight; a convolution's kernel counts into `in`. */
  shape: [number, number]
  rank: number
  alpha: number
  /** What multiplies the product: `alpha / rank`, or `alpha / sqrt(rank)` with rsLoRA. */
  scale: number
  parameters: number
  /** The largest rank that the change can have. */
  rankBound: number
  /** How the factors are stored: `F32`, `F16`, `BF16` or `mixed`. */
  dtype: string
  layer: 'linear' | 'embedding' | 'conv'
  /** Lengths of a convolution's kernel, where the factors tell them. */
  kernel: number[]
  /** Whether a DoRA magnitude comes with the factors. */
  dora: boolean
  /** Whether a `lora_bias` comes with the factors. */
  bias: boolean
  /** The stored factors by PEFT's names. */
  tensors: { name: string; shape: number[] }[]
}

/** A tensor that takes the place of the base's: `modules_to_save`, trained biases and rows. */
export interface WholeTensor {
  name: string
  shape: number[]
  dtype: string
}

/** Something that its owner should know of a file. `code` is stable. */
export interface AdapterWarning {
  code: string
  /** Empty for the whole file. */
  module: string
  message: string
}

/** The singular values of a change, scale included, and the ranks they give. */
export interface Spectrum {
  /** Descending. */
  singularValues: number[]
  rankBound: number
  /** Singular values above `threshold` times the largest. */
  numericalRank: number
  /** `|dW|_F^2 / sigma_1^2`. */
  stableRank: number
  /** `exp(entropy of sigma^2 / sum sigma^2)`. */
  entropyRank: number
  threshold: number
  frobeniusNorm: number
  spectralNorm: number
  alphaPerRank: number
  /** Share of the energy in the first `k + 1` directions. */
  energy: number[]
}

/** Something that is wrong with numbers of a module. */
export interface Finding {
  code: 'NotANumber' | 'Infinite' | 'NeverTrained' | 'ZeroFactor' | 'ZeroScale'
  tensor: string
  /** How many numbers it concerns. */
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

export interface AdapterOptions extends LoadOptions {
  conventions?: Conventions
  /** The adapter's name, where a folder holds several in folders of their own. */
  subfolder?: string
}

/** What `inspect` tells. */
export interface Inspection {
  format: string
  methods: Method[]
  modules: Omit<AdapterModule, 'tensors'>[]
  whole: WholeTensor[]
  parameters: number
  /** Of the file. */
  bytes: number
  metadata: Record<string, string>
  warnings: readonly AdapterWarning[]
}

/** Bytes of a file and where they begin. */
type Part = [start: number, bytes: Uint8Array]

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
  readonly metadata: Readonly<Record<string, string>>
  readonly whole: readonly WholeTensor[]
  /** Bytes of the file. */
  readonly bytes: number
  #modules: readonly AdapterModule[] = []
  #warnings: readonly AdapterWarning[] = []
  #file: Bytes
  /** Parts of the file with the alphas, which the modules are made of. */
  #scalars: readonly Part[]
  #core: CoreAdapter | undefined

  private constructor(core: CoreAdapter, file: Bytes, scalars: readonly Part[]) {
    this.#core = core
    this.#file = file
    this.#scalars = scalars
    this.#forget()
    this.bytes = file.size
    this.format = core.format
    this.metadata = call(() => core.metadata())
    this.whole = call(() => core.whole())
    this.#refresh()
  }

  /**
   * Reads the header of an adapter: a PEFT folder (`adapter_config.json` and
   * `adapter_model.safetensors`), a safetensors file of kohya, LyCORIS or diffusers, or a GGUF file.
   */
  static async load(source: Source, options: AdapterOptions = {}): Promise<Adapter> {
    engine()
    options.signal?.throwIfAborted()
    const folder = within(await openSource(source, options), options.subfolder)
    const config = await folder.open(CONFIG)
    const file = await find(folder, config !== undefined, source)
    const json = config && (await readWhole(config, options))
    if (/\.gguf$/i.test(file.name)) {
      const bytes = await readWhole(file, options)
      return new Adapter(
        call(() => CoreAdapter.openGguf(file.name, bytes)),
        file,
        [],
      )
    }
    const header = await readHeader(file, options.signal)
    const core = call(() => {
      try {
        return CoreAdapter.open(json, header, options.conventions)
      } finally {
        header.free()
      }
    })
    const scalars: Part[] = []
    await readParts(file, core.scalars(), options.signal, (...part) => scalars.push(part))
    return new Adapter(core, file, scalars)
  }

  get modules(): readonly AdapterModule[] {
    return this.#modules
  }

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
    return this.withModule(module, (core) => core.spectrum(module, options.threshold), options)
  }

  /** NaN, infinities, factors of zeros, modules that were never trained. */
  async findings(module: string, options: { signal?: AbortSignal } = {}): Promise<Finding[]> {
    return this.withModule(module, (core) => core.findings(module), options)
  }

  /**
   * Gives the modules the names of a base model, and compares shapes. A module that does not fit is
   * an error for all.
   */
  resolve(base: Base): void {
    call(() => this.core().resolve(base.core()))
    this.#refresh()
  }

  /** Leaves out the modules whose names do not begin so; returns how many. */
  retain(prefix: string): number {
    const out = call(() => this.core().retain(prefix))
    this.#refresh()
    return out
  }

  /** The files of this adapter in a format. What the format cannot hold exactly is an error. */
  async save(format: Format, options: SaveOptions = {}): Promise<Saved> {
    return save(this, format, options)
  }

  /** The best LoRA of smaller rank for each module, whatever its method. */
  async resize(options: ResizeOptions): Promise<Saved & { modules: ResizedModule[] }> {
    return resize(this, options)
  }

  /**
   * The file and its header. The header must be freed.
   * @internal
   */
  async reopen(): Promise<{ file: Bytes; header: CoreFile }> {
    if (this.format === 'GGUF') {
      const expected = 'expected a safetensors file'
      throw new LokahiError('Unsupported', `${this.#file.name}: ${expected}, got GGUF`)
    }
    return { file: this.#file, header: await readHeader(this.#file, undefined) }
  }

  /**
   * Reads the numbers of one module and hands them over.
   * @internal
   */
  async withModule<T>(
    module: string,
    use: (core: CoreAdapter) => T,
    options: { signal?: AbortSignal } = {},
  ): Promise<T> {
    const core = this.core()
    const ranges = call(() => core.ranges(module))
    const parts: Part[] = []
    await readParts(this.#file, ranges, options.signal, (...part) => parts.push(part))
    return this.#with(parts, use)
  }

  /**
   * Reads all numbers. The result must be freed.
   * @internal
   */
  async data(options: LoadOptions = {}): Promise<CoreAdapterData> {
    const extent = this.core().extent()
    const parts: Part[] = []
    for (let i = 0; i < extent.length; i += 2) {
      parts.push([extent[i], await this.#file.read(extent[i], extent[i + 1])])
      options.signal?.throwIfAborted()
    }
    const { name: file, size: total } = this.#file
    options.onProgress?.({ status: 'done', file, loaded: total, total, progress: 100 })
    return this.#with(parts, (core) => core.read())
  }

  #with<T>(parts: readonly Part[], use: (core: CoreAdapter) => T): T {
    return call(() => {
      // It may have been disposed of in the meantime.
      const core = this.core()
      try {
        for (const [at, part] of parts) core.insert(at, part)
        return use(core)
      } finally {
        this.#forget()
      }
    })
  }

  /** Leaves nothing of the file in memory but the alphas. */
  #forget(): void {
    const core = this.core()
    core.clear()
    for (const [at, part] of this.#scalars) core.insert(at, part)
  }

  /** @internal */
  core(): CoreAdapter {
    if (!this.#core) throw new LokahiError('Disposed', 'this adapter was disposed')
    return this.#core
  }

  #refresh(): void {
    const core = this.core()
    this.#modules = call(() => core.modules())
    this.#warnings = call(() => core.warnings())
  }

  /** Frees its memory. May be called again. */
  dispose(): void {
    this.#core?.free()
    this.#core = undefined
  }

  static {
    // Older browsers have no Symbol.dispose.
    if (Symbol.dispose) this.prototype[Symbol.dispose] = this.prototype.dispose
  }
}

export interface Adapter {
  [Symbol.dispose](): void
}

/** The folder of one of several adapters. */
function within(folder: Folder, name: string | undefined): Folder {
  if (name === undefined) return folder
  return { open: (file) => folder.open(`${name}/${file}`) }
}

/** The file of an adapter: by its usual name, or the only one that may be it. */
async function find(folder: Folder, peft: boolean, source: Source): Promise<Bytes> {
  const names = peft ? FILES.slice(0, 1) : FILES
  for (const name of names) {
    const file = await folder.open(name)
    if (file) return file
  }
  const files = folder.names?.filter((name) => /\.(safetensors|gguf)$/i.test(name)) ?? []
  const [only, another] = files
  if (another !== undefined) {
    throw new LokahiError('BadArgument', `source: expected one adapter, got ${files.join(', ')}`)
  }
  const file = only === undefined ? undefined : await folder.open(only)
  if (!file) throw missing(names.join(' or '), source)
  return file
}
