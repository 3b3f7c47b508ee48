import { engine } from './engine.js'
import { LokahiError, call } from './errors.js'
import { CoreAdapter } from './lokahi.js'
import { readFolder, type LoadOptions, type Source } from './source.js'

export type Method = 'LoRA' | 'LoHa' | 'LoKr'

/** What an adapter does to one weight. */
export interface AdapterModule {
  /** Path in the base model. */
  name: string
  method: Method
  /** `[out, in]` of the weight. */
  shape: [number, number]
  rank: number
  alpha: number
  /** What multiplies the product: `alpha / rank`, or `alpha / sqrt(rank)` with rsLoRA. */
  scale: number
  parameters: number
  /** The largest rank that the change can have. */
  rankBound: number
  /** The stored factors by PEFT's names. */
  tensors: { name: string; shape: number[] }[]
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
}

/** An adapter without a model: to inspect and to measure. */
export class Adapter {
  readonly modules: readonly AdapterModule[]
  readonly parameters: number
  readonly warnings: readonly AdapterWarning[]
  #core: CoreAdapter | undefined

  private constructor(core: CoreAdapter) {
    this.#core = core
    this.modules = call(() => core.modules())
    this.warnings = call(() => core.warnings())
    this.parameters = this.modules.reduce((sum, module) => sum + module.parameters, 0)
  }

  /** Reads a PEFT folder: `adapter_config.json` and `adapter_model.safetensors`. */
  static async load(source: Source, options: LoadOptions = {}): Promise<Adapter> {
    engine()
    const needed = ['adapter_config.json', 'adapter_model.safetensors']
    const folder = await readFolder(source, needed, [], options)
    return new Adapter(call(() => CoreAdapter.read(folder)))
  }

  /** Singular values and ranks of a module's change. `threshold` is relative to the largest. */
  spectrum(module: string, options: { threshold?: number } = {}): Spectrum {
    const core = this.core()
    return call(() => core.spectrum(module, options.threshold))
  }

  /** @internal */
  core(): CoreAdapter {
    if (!this.#core) throw new LokahiError('Disposed', 'this adapter was disposed')
    return this.#core
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
