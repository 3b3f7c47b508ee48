/** Owns the worker and the adapter that is open in it. */

import type { AdapterModule, AdapterWarning, Conventions, WholeTensor } from 'lokahi'
import type { RemoteAdapter, RemoteLokahi } from 'lokahi/worker'
import { failureOf, type Failure } from '../state/failures'
import { Measurer } from './measurer.svelte'
import type { Chosen } from './sources'

export interface OpenFile {
  chosen: Chosen
  /** How it was read, where the file leaves that open. */
  conventions: Conventions
  adapter: RemoteAdapter
  measurer: Measurer
  format: string
  modules: readonly AdapterModule[]
  whole: readonly WholeTensor[]
  /** Of the file of weights. */
  bytes: number
  parameters: number
  metadata: Readonly<Record<string, string>>
  warnings: readonly AdapterWarning[]
}

export class Opener {
  /** What is being opened. */
  opening = $state.raw<string | null>(null)
  progress = $state.raw({ loaded: 0, total: 0 })
  file = $state.raw<OpenFile | null>(null)
  failure = $state.raw<(Failure & { name: string }) | null>(null)
  #starting: Promise<RemoteLokahi> | undefined
  #control = new AbortController()

  /** The library in a worker of its own, started with the first file. */
  lokahi(): Promise<RemoteLokahi> {
    this.#starting ??= import('lokahi/worker').then(({ startWorker }) =>
      startWorker({ device: 'cpu' }),
    )
    return this.#starting
  }

  /** Opens in place of what is open; that stays where this one cannot be opened. */
  async open(chosen: Chosen, conventions: Conventions = {}): Promise<void> {
    this.cancel()
    const { signal } = (this.#control = new AbortController())
    this.opening = chosen.name
    this.failure = null
    this.progress = { loaded: 0, total: 0 }
    try {
      const adapter = await this.load(chosen, conventions, signal, (progress) => {
        if (!signal.aborted) this.progress = progress
      })
      // Unpacking hundreds of modules and drawing them are two tasks for the page.
      await new Promise((next) => setTimeout(next))
      if (signal.aborted) return void adapter.dispose()
      this.close()
      const { format, modules, whole, bytes, parameters, metadata, warnings } = adapter
      const names = modules.map(({ name }) => name)
      const measurer = new Measurer(adapter, names)
      const told = { format, modules, whole, bytes, parameters, metadata, warnings }
      this.file = { chosen, conventions, adapter, measurer, ...told }
      measurer.start()
    } catch (error) {
      if (signal.aborted) return
      const failure = failureOf('adapter', error)
      // A worker that was lost is no use to the next file.
      if (failure.code === 'WorkerLost') this.dispose()
      this.failure = { ...failure, name: chosen.name }
    } finally {
      if (!signal.aborted) this.opening = null
    }
  }

  async load(
    { source }: Chosen,
    conventions: Conventions,
    signal: AbortSignal,
    onProgress: (progress: { loaded: number; total: number }) => void,
  ): Promise<RemoteAdapter> {
    const lokahi = await this.lokahi()
    // All of it will be measured: one request is better than hundreds.
    const whole = typeof source === 'string'
    return lokahi.Adapter.load(source, { conventions, whole, signal, onProgress })
  }

  cancel(): void {
    this.#control.abort()
    this.opening = null
  }

  close(): void {
    this.file?.measurer.stop()
    void this.file?.adapter.dispose()
    this.file = null
  }

  dispose(): void {
    this.cancel()
    this.close()
    this.#starting?.then((lokahi) => lokahi.terminate()).catch(() => undefined)
    this.#starting = undefined
  }
}
