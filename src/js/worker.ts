/**
 * The same interface, computed in a module worker: the page never waits for it.
 *
 * @module lokahi/worker
 */
// The messages are our own. Comlink, which is as small, would need handlers of ours for signals,
// generators, callbacks in options and errors, and its calls stay open for ever when a worker dies.
import type { Adapter } from './adapter.js'
import type { Base } from './base.js'
import { connect, lost } from './connection.js'
import type { Engine, InitOptions } from './engine.js'
import { LokahiError } from './errors.js'
import type { Model } from './model.js'
import { platform, type WasmSource } from './platform.js'
import type { Product } from './product.js'
import type { Tokenizer } from './tokenizer.js'
import type { combine } from './tools.js'
import type { Classes, Port, hidden, told } from './wire.js'

export { LokahiError, type ErrorCode } from './errors.js'
export { transfer } from './connection.js'
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
        : T extends Product
          ? RemoteProduct
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

/** A {@link Model} in the worker: getters are there at once, every method gives a promise. */
export type RemoteModel = Remote<'Model'>
/** An {@link Adapter} in the worker. */
export type RemoteAdapter = Remote<'Adapter'>
/** A {@link Base} in the worker. */
export type RemoteBase = Remote<'Base'>
/** A {@link Tokenizer} in the worker. */
export type RemoteTokenizer = Remote<'Tokenizer'>
/** A {@link Product} in the worker. */
export type RemoteProduct = Remote<'Product'>

/** Lokahi in a worker. */
export interface RemoteLokahi extends Readonly<Engine> {
  /** `fromPretrained` gives a model in the worker. */
  readonly Model: Methods<typeof Model>
  /** `load` gives an adapter in the worker. */
  readonly Adapter: Methods<typeof Adapter>
  /** `load` gives a base in the worker. */
  readonly Base: Methods<typeof Base>
  /** `load` gives a tokenizer in the worker. */
  readonly Tokenizer: Methods<typeof Tokenizer>
  /** A product of random numbers in the worker. */
  readonly Product: Methods<typeof Product>
  /** The weighted sum of adapters that are in the worker. */
  readonly combine: Far<typeof combine>
  /** Ends the worker and frees all memory; what is under way rejects with `Disposed`. */
  terminate(): void
}

/** The options of `init`, of which a `Response` cannot cross, and the worker. */
export interface StartOptions extends InitOptions {
  wasm?: Exclude<WasmSource, Response>
  toolsWasm?: Exclude<WasmSource, Response>
  /** A worker of your own that imports `lokahi/worker-scope`, where a bundler does not find ours. */
  worker?: Port
}

/** Starts a worker, and `init` inside of it. */
export async function startWorker(options: StartOptions = {}): Promise<RemoteLokahi> {
  const { worker, wasm, toolsWasm, ...others } = options
  const { root, end } = connect(worker ?? spawn(), ['init', 'combine'])
  const { init, combine } = root as Root
  try {
    const started = await init({ ...others, wasm: near(wasm), toolsWasm: near(toolsWasm) })
    const terminate = () => end(new LokahiError('Disposed', 'the worker was terminated'))
    return { ...started, combine, terminate }
  } catch (error) {
    end(lost('it did not start'))
    throw error
  }
}

interface Root {
  init(options: InitOptions): Promise<Omit<RemoteLokahi, 'combine' | 'terminate'>>
  combine: RemoteLokahi['combine']
}

function spawn(): Port {
  try {
    // Written out in full: bundlers look for this form.
    return new Worker(new URL('./worker-scope.js', import.meta.url), { type: 'module' })
  } catch (cause) {
    throw lost((cause as Error).message)
  }
}

/** Relative to the page: the worker is elsewhere. */
function near(wasm: StartOptions['wasm']): StartOptions['wasm'] {
  return typeof wasm === 'string' ? new URL(wasm, platform.base()).href : wasm
}
