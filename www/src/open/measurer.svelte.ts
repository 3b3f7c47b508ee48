/** Measures the modules of an adapter one after the other, in its worker, those in sight first. */

import type { Finding, Spectrum } from 'lokahi'
import type { RemoteAdapter } from 'lokahi/worker'
import { failureOf } from '../state/failures'

export interface Measured {
  findings: Finding[]
  /** What is not finite has none. */
  spectrum: Omit<Spectrum, 'energy'> | null
  /** Why there is no spectrum, where it is no finding. */
  failure: { code: string; message: string } | null
}

/** Calls under way at once: a reading and a computing. */
const AT_ONCE = 2
/** What comes in meanwhile is shown together. */
const SHOW_MS = 150

export class Measurer {
  readonly #adapter: RemoteAdapter
  readonly #names: readonly string[]
  #control = new AbortController()
  #sight: readonly string[] = []
  #known = new Map<string, Measured>()
  #asked = new Set<string>()
  #timer: ReturnType<typeof setTimeout> | undefined
  running = $state(false)
  /** By module; a new one whenever something came in. */
  found = $state.raw<ReadonlyMap<string, Measured>>(new Map())

  constructor(adapter: RemoteAdapter, names: readonly string[]) {
    this.#adapter = adapter
    this.#names = names
  }

  get total(): number {
    return this.#names.length
  }

  /** The rows that are in sight. */
  look(names: readonly string[]): void {
    this.#sight = names
  }

  start(): void {
    if (this.running || this.found.size === this.total) return
    const { signal } = (this.#control = new AbortController())
    this.running = true
    this.#asked = new Set(this.#known.keys())
    const work = Array.from({ length: AT_ONCE }, () => this.#work(signal))
    void Promise.all(work).then(() => {
      if (!signal.aborted) this.running = false
      this.#show()
    })
  }

  stop(): void {
    this.#control.abort()
    this.running = false
    this.#show()
  }

  #next(): string | undefined {
    const open = (name: string) => !this.#asked.has(name)
    return this.#sight.find(open) ?? this.#names.find(open)
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (;;) {
      const name = this.#next()
      if (name === undefined || signal.aborted) return
      this.#asked.add(name)
      const measured = await measure(this.#adapter, name, signal)
      if (signal.aborted) return
      this.#known.set(name, measured)
      this.#timer ??= setTimeout(() => this.#show(), SHOW_MS)
    }
  }

  #show(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.found = new Map(this.#known)
  }
}

async function measure(
  adapter: RemoteAdapter,
  name: string,
  signal: AbortSignal,
): Promise<Measured> {
  try {
    const findings = await adapter.findings(name, { signal })
    if (findings.some(({ code }) => code === 'NotANumber' || code === 'Infinite'))
      return { findings, spectrum: null, failure: null }
    // The energy can be had from the values; of hundreds of modules it is as much again.
    const { energy: _, ...spectrum } = await adapter.spectrum(name, { signal })
    return { findings, spectrum, failure: null }
  } catch (error) {
    const { code, message } = failureOf('adapter', error)
    return { findings: [], spectrum: null, failure: { code, message } }
  }
}
