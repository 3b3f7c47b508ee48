/**
 * Owns the model and makes the names.
 *
 * One loop does everything that touches the model, one step at a time: apply what is wanted, make the
 * next name that is out of date, give the page its turn, look again. So a moving control never meets a
 * half-made name, and nothing has to be locked.
 */

import { init, Model, type Adapter } from 'lokahi'
import { METHODS, type Country, type Device, type Method } from './choices'
import { failureOf, type Failure } from './failures'
import { median } from './numbers'
import type { Settings } from './settings'
import { breathe, isAbort, Turn } from './turns'

export const NAMES = 12
const MAX_TOKENS = 32
/** A moving control cuts a name short, but not for longer than this: the list must keep changing. */
const PATIENCE_MS = 120

export interface Name {
  text: string
  /** what the model says at the same seed without any adapter */
  plain: string
  stale: boolean
}

type Wanted = Pick<
  Settings,
  'country' | 'method' | 'strength' | 'temperature' | 'seed' | 'prefix' | 'merged' | 'device'
>

const places = (path: string) => new URL(`./places/${path}/`, document.baseURI)
const adapterName = (country: Country, method: Method) => `${country}-${method}`

export class Player {
  phase = $state<'loading' | 'ready' | 'failed'>('loading')
  progress = $state<{ loaded: number; total: number }>({ loaded: 0, total: 0 })
  failure = $state.raw<Failure | null>(null)
  runtime = $state.raw<{ backend: 'webgpu' | 'cpu'; reason: string; device: string } | null>(null)
  model = $state.raw<Model | null>(null)
  adapters = $state.raw<ReadonlyMap<string, Adapter>>(new Map())
  names = $state<Name[]>(
    Array.from({ length: NAMES }, () => ({ text: '', plain: '', stale: true })),
  )
  /** median of the list, or null before the first names */
  millisecondsPerName = $state<number | null>(null)
  /** characters of the prefix that the model does not know */
  unknown = $state('')
  /** counts finished lists, for the live region */
  lists = $state(0)

  #wanted: Wanted
  #turn = new Turn()
  #stopped = false
  #flight: AbortController | null = null
  /** what the flight carries: only a change of that is a reason to cut it short */
  #carries: 'model' | 'adapter' | 'name' = 'model'
  #lastName = 0
  #openedWith: Device | null = null
  #applied = ''
  #made: string[] = Array.from({ length: NAMES }, () => '')
  #madePlain: string[] = Array.from({ length: NAMES }, () => '')
  #times: number[] = []
  #cursor = 0
  #reported = ''

  constructor(wanted: Wanted) {
    this.#wanted = wanted
  }

  start(): () => void {
    void this.#loop()
    return () => {
      this.#stopped = true
      this.#flight?.abort()
      this.#turn.come()
    }
  }

  want(wanted: Wanted): void {
    const before = this.#wanted
    this.#wanted = wanted
    const key = this.#key()
    this.names.forEach((name, i) => (name.stale = this.#made[i] !== key))
    if (this.failure && this.failure.at !== 'model') this.failure = null
    if (this.#outdated(before, wanted)) this.#flight?.abort()
    this.#turn.come()
  }

  #outdated(before: Wanted, wanted: Wanted): boolean {
    if (before.device !== wanted.device) return true
    if (this.#carries === 'model') return false
    if (before.country !== wanted.country || before.method !== wanted.method) return true
    return this.#carries === 'name' && performance.now() - this.#lastName < PATIENCE_MS
  }

  #depart(carries: 'model' | 'adapter' | 'name'): AbortSignal {
    this.#carries = carries
    this.#flight = new AbortController()
    return this.#flight.signal
  }

  retry(): void {
    if (this.failure?.at === 'model') this.#openedWith = null
    this.failure = null
    if (!this.model) this.phase = 'loading'
    this.#turn.come()
  }

  adapter(country: Country | null, method: Method): Adapter | null {
    return this.adapters.get(adapterName(country ?? 'fi', method)) ?? null
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      const wait = this.#turn.next()
      let busy = false
      if (!this.failure || this.#openedWith !== this.#wanted.device) {
        busy = await this.#attempt()
      }
      if (!busy && !this.#stopped) await wait
    }
    this.model?.dispose()
  }

  /** One step of work. False when there is nothing left to do, or when it failed. */
  async #attempt(): Promise<boolean> {
    let at: Failure['at'] = 'model'
    try {
      if (this.#openedWith !== this.#wanted.device) {
        await this.#open()
        return true
      }
      at = 'adapter'
      const { country, method } = this.#wanted
      if (country && !this.adapters.has(adapterName(country, method))) {
        await this.#loadAdapter(country, method)
        return true
      }
      at = 'names'
      if (await this.#makeName()) return true
      at = 'adapter'
      const missing = METHODS.find((m) => !this.adapters.has(adapterName(country ?? 'fi', m)))
      if (missing) {
        await this.#loadAdapter(country ?? 'fi', missing)
        return true
      }
      return false
    } catch (error) {
      if (isAbort(error)) return true
      this.failure = failureOf(at, error)
      if (at === 'model') this.phase = 'failed'
      return false
    }
  }

  async #open(): Promise<void> {
    const device = this.#wanted.device
    const signal = this.#depart('model')
    this.#openedWith = device
    this.failure = null
    this.phase = this.model ? this.phase : 'loading'
    this.progress = { loaded: 0, total: 0 }
    try {
      const runtime = await init({ device })
      const model = await Model.fromPretrained(places('base'), {
        device: runtime.backend,
        signal,
        onProgress: ({ file, loaded, total }) => {
          if (file?.endsWith('.safetensors')) this.progress = { loaded, total }
        },
      })
      this.model?.dispose()
      this.model = model
      this.runtime = runtime
      this.adapters = new Map()
      this.#applied = ''
      this.#made.fill('')
      this.#madePlain.fill('')
      this.#times = []
      this.millisecondsPerName = null
      this.phase = 'ready'
    } catch (error) {
      if (isAbort(error)) this.#openedWith = null
      throw error
    }
  }

  async #loadAdapter(country: Country, method: Method): Promise<void> {
    const signal = this.#depart('adapter')
    const name = adapterName(country, method)
    const adapter = await this.model!.loadAdapter(places(`adapters/${name}`), { name, signal })
    this.adapters = new Map(this.adapters).set(name, adapter)
  }

  /** The settings that decide what a name is; equal keys give equal names. */
  #key(plain = false): string {
    const { country, method, strength, temperature, seed, prefix, merged, device } = this.#wanted
    const adapter = country && !plain ? [country, method, strength, merged] : []
    return JSON.stringify([device, seed, temperature, prefix, ...adapter])
  }

  async #makeName(): Promise<boolean> {
    const key = this.#key()
    const plainKey = this.#key(true)
    const next = (made: string[], wanted: string) => {
      for (let step = 0; step < NAMES; step++) {
        const i = (this.#cursor + step) % NAMES
        if (made[i] !== wanted) return i
      }
      return -1
    }
    let i = next(this.#made, key)
    const plain = i < 0
    if (plain) {
      if (this.#reported !== key) {
        this.#reported = key
        this.millisecondsPerName = median(this.#times)
        this.lists++
      }
      i = next(this.#madePlain, plainKey)
      if (i < 0) return false
    }
    this.#apply(plain)
    this.#cursor = i
    const { text, milliseconds } = await this.#generate(i)
    const name = this.names[i]!
    if (plain || key === plainKey) {
      name.plain = text
      this.#madePlain[i] = plainKey
    }
    if (!plain) {
      name.text = text
      this.#made[i] = key
      name.stale = key !== this.#key()
      this.#lastName = performance.now()
      this.#times = [...this.#times.slice(1 - NAMES), milliseconds]
      this.millisecondsPerName ??= milliseconds
    }
    this.#cursor = (i + 1) % NAMES
    await breathe()
    return true
  }

  /** Bring the model to what is wanted: which adapter, how strong, merged or not. */
  #apply(plain: boolean): void {
    const { country, method, strength, merged, prefix } = this.#wanted
    const model = this.model!
    const state = plain || !country ? 'plain' : JSON.stringify([country, method, strength, merged])
    if (state !== this.#applied) {
      if (model.merged) model.unmergeAdapters()
      if (plain || !country) model.disableAdapters()
      else {
        model.setAdapters([adapterName(country, method)], [strength])
        if (merged) model.mergeAdapters()
      }
      this.#applied = state
    }
    const { tokenizer } = model
    this.unknown = [...new Set(prefix)]
      .filter((c) => tokenizer.decode(tokenizer.encode(c)) !== c)
      .join('')
  }

  async #generate(i: number): Promise<{ text: string; milliseconds: number }> {
    const { seed, temperature, prefix } = this.#wanted
    const signal = this.#depart('name')
    const known = [...prefix].filter((c) => !this.unknown.includes(c)).join('')
    let text = known
    const start = performance.now()
    for await (const piece of this.model!.generate(known, {
      maxTokens: MAX_TOKENS,
      temperature,
      seed: seed * 100 + i,
      signal,
    })) {
      text += piece
    }
    const milliseconds = performance.now() - start
    return { text: text.trim(), milliseconds }
  }
}
