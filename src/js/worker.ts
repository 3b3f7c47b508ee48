/**
 * The same interface, computed in a module worker: the page never waits for it.
 *
 * The messages are our own. Comlink, which is as small, would need handlers of ours for signals,
 * generators, callbacks in options and errors, and its calls stay open for ever when a worker dies.
 */
import type { Adapter } from './adapter.js'
import type { Base } from './base.js'
import type { Engine, InitOptions } from './engine.js'
import { LokahiError } from './errors.js'
import type { Model } from './model.js'
import { platform, type WasmSource } from './platform.js'
import type { Tokenizer } from './tokenizer.js'
import type { combine } from './tools.js'
import {
  ABORTED,
  alone,
  generators,
  packMark,
  replaced,
  unpack,
  unpackError,
  type Classes,
  type Port,
  type Reply,
  type Request,
  type State,
  type hidden,
  type told,
} from './wire.js'

export { LokahiError, type ErrorCode } from './errors.js'
export type { Port } from './wire.js'

/** A handle for what is in the worker; everything else as it is. */
type Given<T> = T extends Model
  ? RemoteModel
  : T extends Adapter
    ? RemoteAdapter
    : T extends Base
      ? RemoteBase
      : T extends Tokenizer
        ? RemoteTokenizer
        : T

type Copied = ((...args: never) => unknown) | AbortSignal | URL | Blob | ArrayBuffer | Uint8Array

/** What is taken: handles where the method itself takes objects. */
type Taken<T> = unknown extends T
  ? T
  : T extends Classes[keyof Classes]
    ? Given<T>
    : T extends Copied
      ? T
      : { [K in keyof T]: Taken<T[K]> }

/** A method from afar: a promise for what it gives, or the generator that it gives. */
type Far<F> = F extends (...args: infer A) => infer R
  ? (
      ...args: Taken<A> extends unknown[] ? Taken<A> : never
    ) => R extends AsyncGenerator ? R : Promise<Given<Awaited<R>>>
  : never

type Methods<T> = {
  readonly [
    K in keyof T as T[K] extends (...args: never) => unknown
      ? Exclude<K, (typeof hidden)[number]>
      : never
  ]: Far<T[K]>
}

type Told<C extends keyof Classes> = {
  readonly [K in (typeof told)[C][number] & keyof Classes[C]]: Given<Classes[C][K]>
}

type Remote<C extends keyof Classes> = Told<C> & Methods<Classes[C]>

export interface RemoteModel extends Remote<'Model'> {}
export interface RemoteAdapter extends Remote<'Adapter'> {}
export interface RemoteBase extends Remote<'Base'> {}
export interface RemoteTokenizer extends Remote<'Tokenizer'> {}

/** Lokahi in a worker. */
export interface RemoteLokahi extends Readonly<Engine> {
  readonly Model: Methods<typeof Model>
  readonly Adapter: Methods<typeof Adapter>
  readonly Base: Methods<typeof Base>
  readonly Tokenizer: Methods<typeof Tokenizer>
  readonly combine: Far<typeof combine>
  /** Ends the worker and frees all memory; what is under way rejects with `Disposed`. */
  terminate(): void
}

export interface StartOptions extends InitOptions {
  wasm?: Exclude<WasmSource, Response>
  toolsWasm?: Exclude<WasmSource, Response>
  /** A worker of your own that imports `lokahi/worker-scope`, where a bundler does not find ours. */
  worker?: Port
}

/** Starts a worker, and `init` inside of it. */
export async function startWorker(options: StartOptions = {}): Promise<RemoteLokahi> {
  const { worker, wasm, toolsWasm, device } = options
  const connection = new Connection(worker ?? spawn())
  const root = connection.handle({ id: 0, methods: ['init', 'combine'], state: {} }) as Root
  try {
    const started = await root.init({ device, wasm: near(wasm), toolsWasm: near(toolsWasm) })
    const terminate = () => connection.end(new LokahiError('Disposed', 'the worker was terminated'))
    return { ...started, combine: root.combine, terminate }
  } catch (error) {
    connection.end(new LokahiError('Disposed', 'the worker did not start'))
    throw error
  }
}

interface Root {
  init(options: InitOptions): Promise<Omit<RemoteLokahi, 'combine' | 'terminate'>>
  combine: RemoteLokahi['combine']
}

/** The buffers of a source go over to the worker, and are not copied: the page has them no more. */
export function transfer<T extends object>(source: T): T {
  given.add(source)
  return source
}

const given = new WeakSet<object>()

function spawn(): Port {
  try {
    // Written out in full: bundlers look for this form.
    return new Worker(new URL('./worker-scope.js', import.meta.url), { type: 'module' })
  } catch (cause) {
    throw lost((cause as Error).message, cause)
  }
}

/** Browsers say little of a script that they did not load. */
function lost(what = 'its script did not load, or a policy forbids it', cause?: unknown) {
  return new LokahiError('WorkerLost', `the worker failed: ${what}`, { cause })
}

/** What addresses are relative to: the worker is elsewhere. */
const base = platform.base

const near = (wasm: StartOptions['wasm']) =>
  typeof wasm === 'string' ? new URL(wasm, base()).href : wasm

/** What stands on the page for an object in the worker. */
class Handle {}

type Method = (...args: unknown[]) => unknown
type Getters = Record<string, () => unknown>

/** A call that is not over. */
interface Open {
  id: number
  handle: Handle
  callbacks: Method[]
  /** The signal that was aborted. */
  aborted: AbortSignal | undefined
  close(): void
}

interface Waiting {
  open: Open
  resolve(value: unknown): void
  reject(error: unknown): void
}

class Connection {
  readonly #port: Port
  readonly #handles = new WeakMap<Handle, { id: number; told: Getters }>()
  readonly #open = new Map<number, Open>()
  readonly #waiting = new Map<number, Waiting>()
  /** What the page has forgotten is freed. */
  readonly #forgotten = new FinalizationRegistry<number>((id) => this.#post({ lokahi: 'free', id }))
  #last = 0
  #over: LokahiError | undefined

  constructor(port: Port) {
    this.#port = port
    port.addEventListener('message', ({ data }) => this.#hear(data))
    // The worker may live on after an error that nobody caught, but a call of it never ends.
    port.addEventListener('error', (event: Event) => this.end(lost((event as ErrorEvent).message)))
    port.addEventListener('messageerror', () => this.end(lost('a message could not be read')))
    port.start?.()
  }

  end(error: LokahiError): void {
    if (this.#over) return
    this.#over = error
    if (this.#port.terminate) this.#port.terminate()
    else this.#port.close?.()
    for (const { reject } of this.#waiting.values()) reject(error)
    for (const open of this.#open.values()) open.close()
    this.#waiting.clear()
  }

  handle({ id, methods, state }: { id: number; methods: string[]; state: State }): Handle {
    const handle = new Handle()
    const told = this.#getters(state)
    for (const name of Object.keys(told)) {
      Object.defineProperty(handle, name, { get: () => told[name](), enumerable: true })
    }
    for (const name of methods) {
      const far: Method = Object.hasOwn(generators, name)
        ? (...args) => this.#steps(handle, name, args)
        : (...args) => this.#call(handle, name, args)
      Object.defineProperty(handle, name, { value: far })
      if (name === 'dispose' && Symbol.dispose) {
        Object.defineProperty(handle, Symbol.dispose, { value: far })
      }
    }
    this.#handles.set(handle, { id, told })
    this.#forgotten.register(handle, id)
    return handle
  }

  async #call(handle: Handle, method: string, args: unknown[]): Promise<unknown> {
    try {
      const open = this.#begin(handle, method, args)
      try {
        return await this.#answer(open.id, open)
      } finally {
        open.close()
      }
    } catch (error) {
      // The memory went with the worker.
      if (method === 'dispose' && error === this.#over) return undefined
      throw error
    }
  }

  /** One message a step: who takes them slowly holds the worker back. */
  async *#steps(handle: Handle, method: string, args: unknown[]): AsyncGenerator {
    const open = this.#begin(handle, method, args)
    const { id } = open
    try {
      for (;;) {
        const step = ++this.#last
        const answer = this.#answer(step, open)
        this.#post({ lokahi: 'next', id, step })
        const { done, value } = (await answer) as IteratorResult<unknown>
        if (done) return value
        yield value
      }
    } finally {
      open.close()
      this.#post({ lokahi: 'return', id })
    }
  }

  #begin(handle: Handle, method: string, args: unknown[]): Open {
    if (this.#over) throw this.#over
    const id = ++this.#last
    const signals = new Set<AbortSignal>()
    const abort = ({ target }: Event) => {
      open.aborted ??= target as AbortSignal
      this.#post({ lokahi: 'abort', id })
    }
    const close = () => {
      for (const signal of signals) signal.removeEventListener('abort', abort)
      this.#open.delete(id)
    }
    const open: Open = { id, handle, callbacks: [], aborted: undefined, close }
    const transfer = new Set<Transferable>()
    const packed = replaced(args, (value) => {
      if (given.has(value))
        for (const each of Object.values(value)) transfer.add(each.buffer ?? each)
      if (ArrayBuffer.isView(value)) return { by: alone(value) }
      if (value instanceof URL) return { by: value.href }
      if (value instanceof Handle) {
        const known = this.#handles.get(value)
        if (!known)
          throw new LokahiError('BadArgument', `${method}: expected an object of this worker`)
        return { by: packMark({ is: 'held', id: known.id }) }
      }
      if (typeof value === 'function') {
        return { by: packMark({ is: 'callback', index: open.callbacks.push(value as Method) - 1 }) }
      }
      if (value instanceof AbortSignal) {
        if (value.aborted) open.aborted ??= value
        value.addEventListener('abort', abort)
        signals.add(value)
        return { by: packMark({ is: 'signal', aborted: value.aborted }) }
      }
      return undefined
    })
    this.#open.set(id, open)
    try {
      const target = this.#handles.get(handle)!.id
      const steps = Object.hasOwn(generators, method)
      this.#post(
        { lokahi: 'call', id, target, method, args: packed, steps, base: base() },
        transfer,
      )
    } catch (error) {
      open.close()
      throw error
    }
    return open
  }

  #answer(id: number, open: Open): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#over) reject(this.#over)
      else this.#waiting.set(id, { open, resolve, reject })
    })
  }

  #post(request: Request, transfer: Iterable<Transferable> = []): void {
    this.#port.postMessage(request, [...transfer])
  }

  #hear(reply: Reply | undefined): void {
    if (reply?.lokahi === 'callback') {
      // What it throws is told by the browser, like all that listeners throw.
      this.#open.get(reply.id)?.callbacks[reply.index](...reply.args)
    } else if (reply?.lokahi === 'value' || reply?.lokahi === 'error') {
      const waiting = this.#waiting.get(reply.id)
      if (!waiting) return
      this.#waiting.delete(reply.id)
      const { open, resolve, reject } = waiting
      Object.assign(this.#handles.get(open.handle)!.told, this.#getters(reply.state ?? {}))
      if (reply.lokahi === 'value') resolve(this.#unpack(reply.value))
      else if (reply.error === ABORTED) reject(open.aborted?.reason)
      else reject(unpackError(reply.error))
    }
  }
  #unpack(value: unknown): unknown {
    return unpack(value, (mark) => mark.is === 'handle' && this.handle(mark))
  }

  #getters(state: State): Getters {
    const getters = Object.entries(state).map(([name, told]): [string, () => unknown] => {
      if ('error' in told) {
        return [
          name,
          () => {
            throw unpackError(told.error)
          },
        ]
      }
      const value = this.#unpack(told.value)
      return [name, () => value]
    })
    return Object.fromEntries(getters)
  }
}
