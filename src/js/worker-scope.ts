/**
 * What runs in the worker of `lokahi/worker`. A worker of your own only has to import it:
 * `import 'lokahi/worker-scope'`.
 */
import { Adapter, Base, LokahiError, Model, Tokenizer, combine, init } from './index.js'
import type { InitOptions } from './index.js'
import { platform } from './platform.js'
import {
  ABORTED,
  alone,
  hidden,
  packError,
  packMark,
  replaced,
  told,
  unpack,
  type Call,
  type Classes,
  type Port,
  type Reply,
  type Request,
  type State,
} from './wire.js'

const classes = { Model, Adapter, Base, Tokenizer } satisfies Record<keyof Classes, Function>

/** What there is from the start. */
const root = {
  init: async (options: InitOptions) => ({ ...(await init(options)), ...classes }),
  combine,
}

/** An object that the page has a handle of. */
interface Held {
  object: object
  getters: readonly string[]
  /** What was told last by each getter. */
  last: Map<string, unknown>
}

/** A call that is not over. */
interface Running {
  control: AbortController
  steps: AsyncGenerator | undefined
}

/** Does what the page asks for. A worker does it by itself; a port must be given. */
export function serve(port: Port): void {
  const held = new Map<number, Held>([[0, { object: root, getters: [], last: new Map() }]])
  const running = new Map<number, Running>()
  let last = 0

  const post = (reply: Reply, transfer: Transferable[] = []) => port.postMessage(reply, transfer)

  /** Arrays of numbers are copied, or transferred where `transfer` collects them. */
  const pack = (value: unknown, transfer?: Set<Transferable>) =>
    replaced(value, (object) => {
      const handle = hold(object)
      if (handle) return { by: handle }
      if (!ArrayBuffer.isView(object)) return undefined
      const own = alone(object)
      transfer?.add(own.buffer as ArrayBuffer)
      return { by: own }
    })

  /** A handle of an object of `classes`, or of such a class. */
  const hold = (object: object): unknown => {
    for (const [name, Class] of Object.entries(classes)) {
      if (object !== Class && !(object instanceof Class)) continue
      const id = ++last
      const getters = object === Class ? [] : told[name as keyof Classes]
      const one = { object, getters, last: new Map() }
      held.set(id, one)
      return packMark({ is: 'handle', id, methods: methodsOf(object), state: stateOf(one) })
    }
    return undefined
  }

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
  const answer = async (
    id: number,
    { signal }: AbortController,
    work: () => unknown,
    of?: Held,
  ): Promise<void> => {
    try {
      const value = await work()
      const transfer = new Set<Transferable>()
      const packed = pack(value, transfer)
      post({ lokahi: 'value', id, value: packed, state: of && stateOf(of) }, [...transfer])
    } catch (error) {
      const aborted = signal.aborted && error === signal.reason
      const packed = aborted ? ABORTED : packError(error)
      post({ lokahi: 'error', id, error: packed, state: of && stateOf(of) })
    }
  }

  const call = async (id: number, { target, method, args, steps, base }: Call) => {
    platform.base = () => base
    const control = new AbortController()
    const of = held.get(target)
    const find = (target: number) => {
      const found = held.get(target)
      if (!found) throw new LokahiError('Disposed', 'this object was disposed')
      return found.object as Record<string, (...args: unknown[]) => unknown>
    }
    const work = () => {
      if (method === 'dispose' && !of) return undefined
      const object = find(target)
      const unpacked = unpack(args, (mark) => {
        if (mark.is === 'held') return find(mark.id)
        if (mark.is === 'callback') {
          const { index } = mark
          return (...args: unknown[]) => post({ lokahi: 'callback', id, index, args })
        }
        if (mark.is === 'signal' && mark.aborted) control.abort()
        return control.signal
      })
      return object[method](...(unpacked as unknown[]))
    }
    if (steps) {
      running.set(id, { control, steps: stepsOf(work) })
      return
    }
    running.set(id, { control, steps: undefined })
    await answer(id, control, work, of)
    running.delete(id)
    if (method === 'dispose') held.delete(target)
  }

  port.addEventListener('message', ({ data }: { data: Partial<Request> | undefined }) => {
    const request = data as Request
    const run = running.get(request?.id)
    switch (request?.lokahi) {
      case 'call':
        return call(request.id, request)
      case 'next':
        return run?.steps && answer(request.step, run.control, () => run.steps!.next())
      case 'return':
        running.delete(request.id)
        return run?.steps?.return(undefined)
      case 'abort':
        return run?.control.abort()
      case 'free':
        return held.delete(request.id)
    }
  })
  port.start?.()
}

/** Makes an error of the call itself one of the first step. */
async function* stepsOf(work: () => unknown): AsyncGenerator {
  return yield* work() as AsyncGenerator
}

function methodsOf(object: object): string[] {
  const from = typeof object === 'function' ? object : Object.getPrototypeOf(object)
  const all = Object.entries(Object.getOwnPropertyDescriptors(from))
  const methods = all.filter(([, { value }]) => typeof value === 'function').map(([name]) => name)
  return methods.filter((name) => !(hidden as readonly string[]).includes(name))
}

const scope = globalThis as { WorkerGlobalScope?: abstract new () => object }
if (scope.WorkerGlobalScope && globalThis instanceof scope.WorkerGlobalScope) {
  serve(globalThis as unknown as Port)
}
