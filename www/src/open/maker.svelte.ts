/** Converts and resizes the open adapter in the worker; the files of the result wait to be saved. */

import type { AdapterWarning, Files, Format, ResizedModule, Source } from 'lokahi'
import type { RemoteAdapter } from 'lokahi/worker'
import { failureOf, type Failure } from '../state/failures'
import type { OpenFile, Opener } from './opener.svelte'

export const WHATS = ['convert', 'resize'] as const
export const FORMATS = ['peft', 'lycoris', 'gguf'] as const satisfies readonly Format[]
export const DTYPES = ['F32', 'F16', 'BF16'] as const
export type Dtype = (typeof DTYPES)[number]
export const RULES = ['rank', 'energy'] as const
export type Rule = (typeof RULES)[number]

/** What is to be made. */
export interface Plan {
  what: (typeof WHATS)[number]
  format: Format
  dtype: Dtype
  rule: Rule
  rank: number
  /** Share of the energy to keep. */
  energy: number
  /** A base model gives modules its names; GGUF needs one. */
  base: { source: Source; name: string } | null
}

export interface Made {
  plan: Plan
  files: Files
  warnings: readonly AdapterWarning[]
  /** What each module lost, where it was resized. */
  modules: readonly ResizedModule[]
}

/** The rule of a resize, as the library takes it. */
export const ruleOf = ({ rule, rank, energy }: Plan) => (rule === 'rank' ? { rank } : { energy })

export class Maker {
  readonly #opener: Opener
  #control = new AbortController()
  doing = $state(false)
  progress = $state.raw({ done: 0, total: 0 })
  made = $state.raw<Made | null>(null)
  failure = $state.raw<Failure | null>(null)
  cancelled = $state(false)

  constructor(opener: Opener) {
    this.#opener = opener
  }

  async make(file: OpenFile, plan: Plan): Promise<void> {
    const { signal } = (this.#control = new AbortController())
    const { measurer } = file
    const measuring = measurer.running
    measurer.stop()
    this.clear()
    this.doing = true
    try {
      const made = await orAbort(this.#run(file, plan, signal), signal)
      this.made = { plan, ...made }
    } catch (error) {
      if (signal.aborted) this.cancelled = true
      else this.failure = failureOf('adapter', error)
    } finally {
      this.doing = false
      if (measuring && this.#opener.file === file) measurer.start()
    }
  }

  async #run(file: OpenFile, plan: Plan, signal: AbortSignal) {
    const { format, dtype } = plan
    if (!plan.base) return this.#write(file.adapter, plan, { format, dtype, signal })
    const lokahi = await this.#opener.lokahi()
    const base = await lokahi.Base.load(plan.base.source, { signal })
    // The names of a base stay: the adapter that is shown keeps its own.
    const adapter = await this.#opener.load(file.chosen, file.conventions, signal, () => {})
    try {
      return await this.#write(adapter, plan, { format, dtype, base, signal })
    } finally {
      void adapter.dispose()
      void base.dispose()
    }
  }

  async #write(
    adapter: RemoteAdapter,
    plan: Plan,
    options: Parameters<RemoteAdapter['save']>[1] & { format: Format },
  ): Promise<Omit<Made, 'plan'>> {
    if (plan.what === 'convert')
      return { ...(await adapter.save(options.format, options)), modules: [] }
    const onModule = (done: number, total: number) => {
      if (!options.signal?.aborted) this.progress = { done, total }
    }
    return adapter.resize({ ...options, ...ruleOf(plan), onModule })
  }

  cancel(): void {
    this.#control.abort()
  }

  /** Forgets the last result. */
  clear(): void {
    this.progress = { done: 0, total: 0 }
    this.made = null
    this.failure = null
    this.cancelled = false
  }
}

/** The worker answers an abort when its step is over; who cancels does not wait for that. */
function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    promise.then(resolve, reject)
  })
}
