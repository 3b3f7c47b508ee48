/**
 * What runs in the worker of `lokahi/worker`. A worker of your own only has to import it:
 * `import 'lokahi/worker-scope'`.
 *
 * @module lokahi/worker-scope
 */
import { Adapter, Base, LokahiError, Model, Product, Tokenizer, combine, init } from './index.js'
import type { InitOptions } from './index.js'
import { platform } from './platform.js'
import {
  ABORTED,
  alone,
  generators,
  hidden,
  packError,
  packMark,
  replaced,
  told,
  unpack,
  type Classes,
  type Port,
  type Reply,
  type Request,
  type State,
} from './wire.js'

const classes = { Model, Adapter, Base, Tokenizer, Product } satisfies Record<
  keyof Classes,
  Function
>

/** What there is from the start. */
const root = {
  init: async (options: InitOptions) => ({ ...(await init(options)), ...classes }),
  combine,
}

/** An object that the page has a handle of. */
interface Held {
  object: object
  getters: readonly string[]
  /** What each getter gave last. */
  last: Map<string, unknown>
}

/** A call that is not over. */
interface Running {
  control: AbortController
  steps?: AsyncGenerator
}

/** Does what the page at the other end asks for. In a worker it begins by itself. */
export function serve(port: Port): void {
  const held = new Map<number, Held>([[0, { object: root, getters: [], last: new Map() }]])
  const running = new Map<number, Running>()
  let last = 0

  const post = (reply: Reply, transfer: Iterable<Transferable> = []) =>
    port.postMessage(reply, [...transfer])

  /** Results are given away with their buffers, which `moved` collects; what is kept is copied. */
  const pack = (value: unknown, moved?: Set<Transferable>) =>
    replaced(value, (object) => {
      const found = Object.entries(classes).find(
        ([, Class]) => object === Class || object instanceof Class,
      )
      if (found)
        return hold(object, typeof object === 'function' ? [] : told[found[0] as keyof Classes])
      if (!ArrayBuffer.isView(object)) return undefined
      const view = alone(object)
      moved?.add(view.buffer as ArrayBuffer)
      return { by: view }
    })

  const hold = (object: object, getters: readonly string[]) => {
    const target = ++last
    const one = { object, getters, last: new Map() }
    held.set(target, one)
    return packMark({ is: 'handle', target, methods: methodsOf(object), state: stateOf(one) })
  }

  /** What changed since it was told. */
  const stateOf = ({ object, getters, last }: Held): State => {
    const state: State = {}
    for (const name of getters) {
      try {
        const value = (object as Record<string, unknown>)[name]
        if (last.has(name) && last.get(name) === value) continue
        last.set(name, value)
        state[name] = { value: pack(value) }
      } catch (error) {
        last.delete(name)
        state[name] = { error: packError(error) }
      }
    }
    return state
  }

  /** Posts what comes of `work`, which begins at once. */
  const answer = async (id: number, { control }: Running, work: () => unknown, of?: Held) => {
    const { signal } = control
    try {
      const moved = new Set<Transferable>()
      const value = pack(await work(), moved)
      post({ lokahi: 'value', id, value, state: of && stateOf(of) }, moved)
    } catch (reason) {
      const error = signal.aborted && reason === signal.reason ? ABORTED : packError(reason)
      post({ lokahi: 'error', id, error, state: of && stateOf(of) })
    }
  }

  const find = (target: number) => {
    const found = held.get(target)
    if (!found) throw new LokahiError('Disposed', 'this object was disposed')
    return found.object as Record<string, (...args: unknown[]) => unknown>
  }

  const call = async ({ id, target, method, args, base }: Request & { lokahi: 'call' }) => {
    platform.base = () => base
    const control = new AbortController()
    const work = () => {
      if (method === 'dispose' && !held.has(target)) return undefined
      const unpacked = unpack(args, (mark) => {
        if (mark.is === 'held') return find(mark.target)
        if (mark.is === 'callback') {
          const { index } = mark
          return (...args: unknown[]) => post({ lokahi: 'callback', id, index, args })
        }
        if (mark.is === 'signal' && mark.aborted) control.abort()
        return control.signal
      })
      return find(target)[method](...(unpacked as unknown[]))
    }
    if (Object.hasOwn(generators, method)) {
      running.set(id, { control, steps: stepsOf(work) })
    } else {
      const run = { control }
      running.set(id, run)
      await answer(id, run, work, held.get(target))
      running.delete(id)
      if (method === 'dispose') held.delete(target)
    }
  }

  /** Holds a lock, which goes with the worker however it ends. */
  const live = (name: string) =>
    globalThis.navigator?.locks
      ?.request(name, () => {
        post({ lokahi: 'lives' })
        return new Promise(() => {})
      })
      .catch(() => undefined)

  port.addEventListener('message', ({ data }) => {
    const request: Request | undefined = data
    // An app's own worker hears messages of its own too.
    if (request?.lokahi === 'call') call(request)
    else if (request?.lokahi === 'free') held.delete(request.target)
    else if (request?.lokahi === 'live') live(request.name)
    else if (request?.lokahi) {
      const run = running.get(request.id)
      if (request.lokahi === 'abort') run?.control.abort()
      else if (request.lokahi === 'next') run && answer(request.step, run, () => run.steps?.next())
      else {
        running.delete(request.id)
        run?.steps?.return(undefined)
      }
    }
  })
  port.start?.()
}

/** An error of the call itself is one of the first step. */
async function* stepsOf(work: () => unknown): AsyncGenerator {
  return yield* work() as AsyncGenerator
}

function methodsOf(object: object): string[] {
  const from = typeof object === 'function' ? object : Object.getPrototypeOf(object)
  return Object.entries(Object.getOwnPropertyDescriptors(from))
    .filter(([name, { value }]) => typeof value === 'function' && !hiddenNames.has(name))
    .map(([name]) => name)
}

const hiddenNames: ReadonlySet<string> = new Set(hidden)

const { WorkerGlobalScope } = globalThis as { WorkerGlobalScope?: Function }
if (WorkerGlobalScope && globalThis instanceof WorkerGlobalScope) {
  serve(globalThis as unknown as Port)
}
