/**
 * Times the forms of one product on this machine, in a worker of its own: on the CPU, and on WebGPU
 * where there is one.
 */

import type { Form, Plan } from 'lokahi'
import { startWorker, type RemoteLokahi, type RemoteProduct } from 'lokahi/worker'
import { METHODS, type Method } from '../state/choices'
import { failureOf, type Failure } from '../state/failures'
import { median } from '../state/numbers'
import { isAbort } from '../state/turns'
import { sizes, type MeasureSettings } from './settings'

export const BACKENDS = ['cpu', 'webgpu'] as const
export type Backend = (typeof BACKENDS)[number]

/** Samples of each form, taken in turn; each is as many runs as take 20 ms. */
export const SAMPLES = 7
/** Rows whose results are compared with f64 at most: that takes a while. Few rows have kernels of their own. */
const CHECKED_ROWS = 16

/** Milliseconds of a run. */
export interface Times {
  median: number
  min: number
  max: number
}

export interface OfMethod {
  structured: Times
  merged: Times
  plan: Plan
  /** Largest difference of both forms from the same in f64, as a share of the largest number. */
  off: number
  /** What the structured form gave: to compare devices. */
  y: Float32Array
}

export interface OfBackend {
  backend: Backend
  /** The name of the GPU. */
  device: string
  base: Times
  methods: Record<Method, OfMethod>
}

export interface Measured {
  wanted: MeasureSettings
  backends: readonly OfBackend[]
  /** Why there is no WebGPU. */
  without: string | null
}

/** Numbers that look random and are the same everywhere. */
const noise = (length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => ((i * 7919) % 2003) / 1001.5 - 1)

export class Timer {
  running = $state(false)
  progress = $state.raw({ done: 0, total: 1 })
  failure = $state.raw<Failure | null>(null)
  measured = $state.raw<Measured | null>(null)
  outcome = $state<'measured' | 'stopped' | null>(null)

  /** A worker for each backend. */
  readonly #engines = new Map<Backend, RemoteLokahi>()
  #control = new AbortController()

  async run(wanted: MeasureSettings): Promise<void> {
    if (this.running) return
    this.running = true
    this.failure = null
    this.outcome = null
    const { signal } = (this.#control = new AbortController())
    // Preparing, checking and planning of each method, and every sample.
    const total = BACKENDS.length * (3 * METHODS.length + SAMPLES * (1 + 2 * METHODS.length))
    this.progress = { done: 0, total }
    const step = () => {
      signal.throwIfAborted()
      this.progress = { ...this.progress, done: this.progress.done + 1 }
    }
    try {
      const backends: OfBackend[] = []
      let without: string | null = null
      for (const backend of BACKENDS) {
        try {
          const lokahi = this.#engines.get(backend) ?? (await startWorker({ device: backend }))
          this.#engines.set(backend, lokahi)
          signal.throwIfAborted()
          backends.push(await measure(lokahi, wanted, step))
        } catch (error) {
          if (signal.aborted) throw error
          // A worker or a device that was lost is no use to the next try.
          this.#engines.get(backend)?.terminate()
          this.#engines.delete(backend)
          if (backend === 'cpu') throw error
          without = failureOf('measuring', error).message
        }
      }
      this.measured = { wanted: { ...wanted }, backends, without }
      this.outcome = 'measured'
    } catch (error) {
      if (signal.aborted || isAbort(error)) this.outcome = 'stopped'
      else this.failure = failureOf('measuring', error)
    } finally {
      this.running = false
    }
  }

  /** Ends at the next sample. */
  stop(): void {
    this.#control.abort()
  }

  dispose(): void {
    this.stop()
    for (const lokahi of this.#engines.values()) lokahi.terminate()
    this.#engines.clear()
  }
}

async function measure(
  lokahi: RemoteLokahi,
  { shape, dtype, rows, rank, factor }: MeasureSettings,
  step: () => void,
): Promise<OfBackend> {
  const products: RemoteProduct[] = []
  try {
    const found = {} as Record<Method, Pick<OfMethod, 'off' | 'plan' | 'y'>>
    const candidates: { product: RemoteProduct; form: Form; samples: number[] }[] = []
    const x = noise(Math.min(rows, CHECKED_ROWS) * sizes(shape)[1])
    for (const method of METHODS) {
      const product = await lokahi.Product.create({
        shape: sizes(shape),
        dtype,
        method,
        rank,
        factor,
      })
      products.push(product)
      step()
      const offs = [await product.deviation('structured', x), await product.deviation('merged', x)]
      const y = await product.run('structured', x)
      step()
      found[method] = { off: Math.max(...offs), y, plan: await product.plan({ rows }) }
      step()
      // The weight is the same for all.
      const forms: Form[] =
        products.length === 1 ? ['base', 'structured', 'merged'] : ['structured', 'merged']
      candidates.push(...forms.map((form) => ({ product, form, samples: [] })))
    }
    for (let round = 0; round < SAMPLES; round++) {
      // There and back, so that what changes meanwhile changes for all.
      for (const { product, form, samples } of round % 2 ? [...candidates].reverse() : candidates) {
        samples.push(await product.time(form, { rows }))
        step()
      }
    }
    const times = candidates.map(({ samples }) => ({
      median: median(samples),
      min: Math.min(...samples),
      max: Math.max(...samples),
    }))
    const methods = Object.fromEntries(
      METHODS.map((method, i) => [
        method,
        { ...found[method], structured: times[1 + 2 * i]!, merged: times[2 + 2 * i]! },
      ]),
    ) as Record<Method, OfMethod>
    return { backend: lokahi.backend, device: lokahi.device, base: times[0]!, methods }
  } finally {
    for (const product of products) await product.dispose()
  }
}

/** Largest difference between two results, as a share of the largest number. */
export function apart(a: Float32Array, b: Float32Array): number {
  let [worst, largest] = [0, 0]
  for (const [i, value] of a.entries()) {
    worst = Math.max(worst, Math.abs(value - b[i]!))
    largest = Math.max(largest, Math.abs(value))
  }
  return worst / largest
}
