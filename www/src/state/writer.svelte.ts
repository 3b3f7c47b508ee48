/**
 * Owns the real language model, in a worker of its own, and writes with it: four texts at once, the
 * model's own and one with each adapter.
 */

import type { Mix } from 'lokahi'
import { startWorker, type RemoteLokahi, type RemoteModel } from 'lokahi/worker'
import { METHODS, type Device, type Method } from './choices'
import { failureOf, type Failure } from './failures'
import { median } from './numbers'
import type { Settings } from './settings'
import { COLUMNS, findModel } from './smollm2'
import { isAbort } from './turns'

/** Tokens that each text may have. */
const MAX_TOKENS = 48
/** Swaps whose time is taken. */
export const SWAPS = 21

export type Wanted = Pick<Settings, 'prompt' | 'chat' | 'mix'>

export interface Text {
  text: string
  tokens: number
  /** Tokens a second, without the time for the prompt. */
  rate: number | null
  ended: boolean
}

export interface Merging {
  method: Method
  strength: number
  /** Logits that were compared: tokens of the prompt and tokens of the vocabulary. */
  shape: readonly [number, number]
  /** Of the logits beside and inside of the weights. */
  difference: number
  /** Among the logits. */
  largest: number
  mergeMs: number
  unmergeMs: number
  /** That it took while merged. */
  bytes: number
}

export class Writer {
  phase = $state<'loading' | 'ready' | 'failed'>('loading')
  /** The adapter that is being loaded, or the model. */
  part = $state<'model' | Method>('model')
  progress = $state.raw({ loaded: 0, total: 0 })
  failure = $state.raw<Failure | null>(null)
  runtime = $state.raw<Pick<RemoteLokahi, 'backend' | 'reason' | 'device'> | null>(null)
  /** Numbers in the model and in each adapter. */
  parameters = $state.raw<Partial<Record<'none' | Method, number>>>({})
  memory = $state.raw<{ buffers: number; bytes: number } | null>(null)
  /** Median time of `setAdapters`, with the way to the worker and back. */
  swapMs = $state.raw<number | null>(null)

  doing = $state<'writing' | 'merging' | null>(null)
  /** One for each of `COLUMNS`. */
  texts = $state<Text[]>(COLUMNS.map(() => ({ text: '', tokens: 0, rate: null, ended: true })))
  /** What the texts were written with. */
  written = $state.raw<Wanted | null>(null)
  /** Tokens a second of all texts together. */
  rate = $state<number | null>(null)
  merging = $state.raw<Merging | null>(null)
  /** How the texts ended. */
  outcome = $state<'written' | 'stopped' | null>(null)

  #lokahi: RemoteLokahi | undefined
  #model: RemoteModel | undefined
  #control = new AbortController()

  /** Loads the model, from a file of the visitor or from where it is kept, and its adapters. */
  async load(file: File | null, device: Device): Promise<void> {
    this.dispose()
    const { signal } = (this.#control = new AbortController())
    this.phase = 'loading'
    this.part = 'model'
    this.failure = null
    this.progress = { loaded: 0, total: 0 }
    const onProgress = ({ loaded, total }: { loaded: number; total: number }) => {
      if (total > 0) this.progress = { loaded, total }
    }
    try {
      const lokahi = await startWorker({ device })
      if (signal.aborted) return lokahi.terminate()
      this.#lokahi = lokahi
      const { backend, reason, device: name } = lokahi
      this.runtime = { backend, reason, device: name }
      const [source, options] = file ? [file, {}] : await findModel(signal)
      const model = await lokahi.Model.fromPretrained(source, { ...options, signal, onProgress })
      const parameters: typeof this.parameters = { none: model.parameters }
      for (const method of METHODS) {
        this.part = method
        const folder = new URL(`./smollm2/${method}/`, document.baseURI).href
        const adapter = await model.loadAdapter(folder, { name: method, signal, onProgress })
        parameters[method] = adapter.parameters
      }
      this.parameters = parameters
      this.swapMs = await swapTime(model)
      this.memory = model.memory
      this.#model = model
      this.phase = 'ready'
    } catch (error) {
      if (signal.aborted || isAbort(error)) return
      this.phase = 'failed'
      this.failure = failureOf(this.part === 'model' ? 'model' : 'adapter', error)
      this.#lokahi?.terminate()
    }
  }

  async write(wanted: Wanted): Promise<void> {
    const model = this.#begin('writing')
    if (!model) return
    const { signal } = this.#control
    const { lora, loha, lokr } = wanted.mix
    this.written = wanted
    this.rate = null
    this.texts = COLUMNS.map(() => ({ text: '', tokens: 0, rate: null, ended: false }))
    try {
      const ids = await tokens(model, wanted)
      // The first step reads the prompt: it has a time of its own.
      const starts: number[] = []
      const mixes: Mix[] = [{}, { lora }, { loha }, { lokr }]
      for await (const { row, id, text, ended } of model.compare(ids, mixes, {
        maxTokens: MAX_TOKENS,
        signal,
      })) {
        const column = this.texts[row]!
        const now = performance.now()
        column.text += text
        column.ended = ended
        if (id === undefined) continue
        column.tokens++
        const start = (starts[row] ??= now)
        if (column.tokens > 1) {
          column.rate = ((column.tokens - 1) * 1000) / (now - start)
          const after = this.texts.reduce((sum, { tokens }) => sum + Math.max(0, tokens - 1), 0)
          this.rate = (after * 1000) / (now - Math.min(...starts.filter((at) => at > 0)))
        }
      }
      this.outcome = 'written'
    } catch (error) {
      this.outcome = 'stopped'
      this.#failed('writing', error)
    } finally {
      this.texts.forEach((text) => (text.ended = true))
      this.#end(model)
    }
  }

  /** The logits of the prompt with an adapter beside the weights and merged into them. */
  async merge(method: Method, wanted: Wanted): Promise<void> {
    const model = this.#begin('merging')
    if (!model) return
    this.merging = null
    try {
      const strength = wanted.mix[method]
      const ids = await tokens(model, wanted)
      await model.setAdapters([method], [strength])
      const before = model.memory.bytes
      const beside = await model.forward(ids)
      const start = performance.now()
      await model.mergeAdapters()
      const mergeMs = performance.now() - start
      const bytes = model.memory.bytes - before
      let inside
      let unmergeMs
      try {
        inside = await model.forward(ids)
      } finally {
        const back = performance.now()
        await model.unmergeAdapters()
        unmergeMs = performance.now() - back
      }
      const { shape } = beside
      const logits = beside.logits
      let [difference, largest] = [0, 0]
      for (let at = 0; at < logits.length; at++) {
        difference = Math.max(difference, Math.abs(logits[at]! - inside.logits[at]!))
        largest = Math.max(largest, Math.abs(logits[at]!))
      }
      this.merging = { method, strength, shape, difference, largest, mergeMs, unmergeMs, bytes }
    } catch (error) {
      this.#failed('merging', error)
    } finally {
      await model.disableAdapters().catch(() => {})
      this.#end(model)
    }
  }

  /** Ends the text that is being written. */
  stop(): void {
    this.#control.abort()
  }

  /** Ends the worker, and with it all that is under way; its memory is free again. */
  dispose(): void {
    this.#control.abort()
    this.#model = undefined
    this.#lokahi?.terminate()
    this.#lokahi = undefined
  }

  #begin(doing: 'writing' | 'merging'): RemoteModel | undefined {
    if (!this.#model || this.doing) return undefined
    this.#control = new AbortController()
    this.failure = null
    this.doing = doing
    return this.#model
  }

  #failed(at: 'writing' | 'merging', error: unknown): void {
    if (!isAbort(error) && this.#model) this.failure = failureOf(at, error)
  }

  #end(model: RemoteModel): void {
    this.doing = null
    if (this.#model) this.memory = model.memory
  }
}

/** The prompt as the model reads it; a question goes through the model's chat template. */
async function tokens(model: RemoteModel, { prompt, chat }: Wanted): Promise<number[]> {
  // Does nothing unless the device was lost.
  await model.recover()
  const { tokenizer } = model
  if (!chat) return tokenizer.encode(prompt)
  const messages = [{ role: 'user', content: prompt }]
  const text = await tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true })
  return tokenizer.encode(text, { addSpecialTokens: false })
}

async function swapTime(model: RemoteModel): Promise<number> {
  const times: number[] = []
  for (let swap = 0; swap < SWAPS; swap++) {
    const start = performance.now()
    await model.setAdapters([METHODS[swap % METHODS.length]!])
    times.push(performance.now() - start)
  }
  await model.disableAdapters()
  return median(times)
}
