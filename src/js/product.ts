import { engine, openDevice, type Backend } from './engine.js'
import { LokahiError, call, wait, whole } from './errors.js'
import { CoreSource, type CoreDevice, type CoreProduct } from './lokahi.js'
import {
  FORMS,
  costs,
  enough,
  lasting,
  open,
  toPlan,
  type CorePlan,
  type Form,
  type Plan,
} from './plan.js'

/** Sizes and numbers of a product. */
export interface ProductOptions {
  /** `[out, in]`. */
  shape: readonly [number, number]
  /** How the weight is stored; by default `F32`. */
  dtype?: 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_1'
  /** What is added to it; by default nothing. */
  method?: 'lora' | 'loha' | 'lokr'
  /** `r`; by default 8. */
  rank?: number
  /** LoKr's `decompose_factor`; by default -1: factors as near to square as can be. */
  factor?: number
  /** The same seed gives the same numbers; by default 0. */
  seed?: number
  /** Where to compute; by default what `init` chose. */
  device?: Backend
}

/** Milliseconds of runs that are timed together: long against the clock of any browser. */
const LEAST = 20

/** One weight with a random adapter, by itself: to try and to time the forms in which it can run. */
export class Product {
  /** What it runs on. */
  readonly backend: Backend
  /** `[out, in]`. */
  readonly shape: readonly [number, number]
  readonly #options: ProductOptions
  readonly #device: CoreDevice | undefined
  #core: { source: CoreSource; product: CoreProduct } | undefined
  /** Runs that last long enough, by form and rows. */
  readonly #repeats = new Map<string, number>()

  private constructor(
    core: { source: CoreSource; product: CoreProduct },
    device: CoreDevice | undefined,
    options: ProductOptions,
  ) {
    this.#core = core
    this.#device = device
    this.#options = options
    this.shape = options.shape
    this.backend = device ? 'webgpu' : 'cpu'
  }

  /** Random numbers of these sizes; those of `W x` and of `dW x` are about as large as those of `x`. */
  static async create(options: ProductOptions): Promise<Product> {
    const { shape, dtype = 'F32', method, rank = 8, factor = -1, seed = 0 } = options
    const backend = options.device ?? engine().backend
    const [out, inputs] = shape
    whole('shape', out, 1, 2 ** 31)
    whole('shape', inputs, 1, 2 ** 31)
    whole('rank', rank, 1, 2 ** 31)
    whole('factor', factor, -1, 2 ** 31 - 1)
    whole('seed', seed, 0, 2 ** 32 - 1)
    const device = backend === 'webgpu' ? await openDevice() : undefined
    const sizes = Uint32Array.of(out, inputs)
    const source = call(() => CoreSource.random(sizes, dtype, method, rank, factor, seed))
    try {
      const product = open(source, device)
      return new Product({ source, product }, device, { ...options, shape: [out, inputs], dtype })
    } catch (error) {
      source.free()
      throw error
    }
  }

  /** `y` `[rows, out]` for `x` `[rows, in]`. */
  async run(form: Form, x: Float32Array): Promise<Float32Array> {
    const { product } = this.#open()
    return wait<Float32Array>(() => product.run(number(form), x))
  }

  /**
   * The largest difference from the same product in f64, as a share of its largest magnitude, for `x`
   * `[rows, in]`.
   */
  async deviation(form: Form, x: Float32Array): Promise<number> {
    const got = await this.run(form, x)
    const want = call(() => this.#open().source.expected(x, form !== 'base'))
    let [worst, largest] = [0, 0]
    for (const [i, value] of want.entries()) {
      const off = Math.abs(got[i] - value)
      // What is no number differs by all there is.
      worst = Math.max(worst, Number.isFinite(off) ? off : Infinity)
      largest = Math.max(largest, Math.abs(value))
    }
    return worst / largest
  }

  /**
   * Milliseconds of one run on `rows` tokens, from `repeats` runs and one reading of their result. By
   * default as many as take 20 ms, found out at the first time.
   */
  async time(
    form: Form,
    { rows = 1, repeats }: { rows?: number; repeats?: number } = {},
  ): Promise<number> {
    const { product } = this.#open()
    number(form)
    whole('rows', rows, 1, 2 ** 31)
    if (repeats !== undefined) whole('repeats', repeats, 1, 2 ** 20)
    const key = `${form} ${rows}`
    const times = repeats ?? this.#repeats.get(key) ?? (await enough(product, form, rows, LEAST))
    if (repeats === undefined) this.#repeats.set(key, times)
    return (await lasting(product, form, rows, times)) / times
  }

  /**
   * What the forms would take on `rows` tokens. The device is measured for it, once: less than a second
   * on most.
   */
  async plan({ rows = 1 }: { rows?: number } = {}): Promise<Plan> {
    whole('rows', rows, 1, 2 ** 31)
    const { dtype = 'F32', method } = this.#options
    const measured = await costs(this.#device, ['call', 'F32', dtype, ...(method ? [method] : [])])
    try {
      return toPlan(call<CorePlan>(() => this.#open().product.plan(measured, rows)))
    } finally {
      measured.free()
    }
  }

  /** Frees its memory. May be called again. */
  dispose(): void {
    this.#core?.product.free()
    this.#core?.source.free()
    this.#core = undefined
  }

  #open() {
    if (!this.#core) throw new LokahiError('Disposed', 'this product was disposed')
    return this.#core
  }

  static {
    // Older browsers have no Symbol.dispose.
    if (Symbol.dispose) this.prototype[Symbol.dispose] = this.prototype.dispose
  }
}

export interface Product {
  /** As {@link Product.dispose}, for `using`. */
  [Symbol.dispose](): void
}

function number(form: Form): number {
  const index = FORMS.indexOf(form)
  if (index < 0) {
    throw new LokahiError('BadArgument', `form: expected ${FORMS.join(', ')}, got ${form}`)
  }
  return index
}
