import { LokahiError } from './errors.js'
import { platform } from './platform.js'
import {
  ABORTED,
  alone,
  generators,
  packMark,
  replaced,
  unpack,
  unpackError,
  type Mark,
  type Port,
  type Reply,
  type Request,
  type State,
} from './wire.js'

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

export interface Connection {
  /** The handle of what there is from the start. */
  root: Handle
  /** Ends the worker; every call rejects with this. */
  end(error: Error): void
}

const given = new WeakSet<object>()

/** The buffers of a source move to the worker and are not copied: the page has them no more. */
export function transfer<T extends Readonly<Record<string, ArrayBuffer | Uint8Array>>>(
  source: T,
): T {
  given.add(source)
  return source
}

/** The page's end of a worker in which `serve` runs. */
export function connect(port: Port, methods: string[]): Connection {
  const handles = new WeakMap<Handle, { target: number; getters: Getters }>()
  const calls = new Map<number, Open>()
  const waiting = new Map<number, Waiting>()
  let last = 0
  let over: Error | undefined

  /** No event tells that a worker was ended. A lock that it holds comes free with it. */
  const locks = globalThis.isSecureContext ? globalThis.navigator?.locks : undefined
  const life = locks ? `lokahi ${crypto.randomUUID()}` : ''

  const post = (request: Request, transfer: Iterable<Transferable> = []) =>
    port.postMessage(request, [...transfer])

  /** What the page has forgotten is freed. */
  const forgotten = new FinalizationRegistry<number>((target) => post({ lokahi: 'free', target }))

  const handleOf = ({ target, methods, state }: Mark & { is: 'handle' }): Handle => {
    const handle = new Handle()
    const getters = gettersOf(state)
    for (const name of Object.keys(getters)) {
      Object.defineProperty(handle, name, { get: () => getters[name](), enumerable: true })
    }
    for (const name of methods) {
      const through = Object.hasOwn(generators, name) ? steps : call
      const value: Method = (...args) => through(handle, name, args)
      Object.defineProperty(handle, name, { value })
      // Older browsers have no Symbol.dispose.
      if (name === 'dispose' && Symbol.dispose) {
        Object.defineProperty(handle, Symbol.dispose, { value })
      }
    }
    handles.set(handle, { target, getters })
    forgotten.register(handle, target)
    return handle
  }

  const gettersOf = (state: State): Getters =>
    Object.fromEntries(
      Object.entries(state).map(([name, told]) => {
        const value = 'value' in told && unpacked(told.value)
        const get = () => {
          if ('error' in told) throw unpackError(told.error)
          return value
        }
        return [name, get]
      }),
    )

  const unpacked = (value: unknown) =>
    unpack(value, (mark) => mark.is === 'handle' && handleOf(mark))

  const call = async (handle: Handle, method: string, args: unknown[]): Promise<unknown> => {
    try {
      const open = begin(handle, method, args)
      return await answer(open.id, open).finally(open.close)
    } catch (error) {
      // The memory went with the worker.
      if (method === 'dispose' && error === over) return undefined
      throw error
    }
  }

  /** One message a step: who takes them slowly holds the worker back. */
  async function* steps(handle: Handle, method: string, args: unknown[]): AsyncGenerator {
    const open = begin(handle, method, args)
    const { id } = open
    try {
      for (;;) {
        const step = ++last
        post({ lokahi: 'next', id, step })
        const { done, value } = (await answer(step, open)) as IteratorResult<unknown>
        if (done) return value
        yield value
      }
    } finally {
      open.close()
      post({ lokahi: 'return', id })
    }
  }

  const answer = (id: number, open: Open) =>
    new Promise((resolve, reject) => {
      if (over) reject(over)
      else waiting.set(id, { open, resolve, reject })
    })

  const begin = (handle: Handle, method: string, args: unknown[]): Open => {
    if (over) throw over
    const id = ++last
    const signals = new Set<AbortSignal>()
    const moved = new Set<Transferable>()
    const abort = ({ target }: Event) => {
      open.aborted ??= target as AbortSignal
      post({ lokahi: 'abort', id })
    }
    const close = () => {
      calls.delete(id)
      for (const signal of signals) signal.removeEventListener('abort', abort)
    }
    const open: Open = { id, handle, callbacks: [], aborted: undefined, close }
    const pack = (value: object) => {
      if (given.has(value)) for (const each of Object.values(value)) moved.add(each.buffer ?? each)
      if (value instanceof URL) return { by: value.href }
      if (ArrayBuffer.isView(value)) {
        return { by: moved.has(value.buffer as ArrayBuffer) ? value : alone(value) }
      }
      if (typeof value === 'function') {
        return packMark({ is: 'callback', index: open.callbacks.push(value as Method) - 1 })
      }
      if (value instanceof AbortSignal) {
        if (value.aborted) open.aborted ??= value
        signals.add(value)
        return packMark({ is: 'signal', aborted: value.aborted })
      }
      if (value instanceof Handle) {
        const held = handles.get(value)
        if (held) return packMark({ is: 'held', target: held.target })
        throw new LokahiError('BadArgument', `${method}: expected an object of this worker`)
      }
      return undefined
    }
    const { target } = handles.get(handle)!
    const packed = replaced(args, pack)
    post({ lokahi: 'call', id, target, method, args: packed, base: platform.base() }, moved)
    calls.set(id, open)
    for (const signal of signals) signal.addEventListener('abort', abort)
    return open
  }

  const hear = (reply: Reply | undefined) => {
    if (reply?.lokahi === 'lives') {
      locks?.request(life, () => end(lost('it ended'))).catch(() => undefined)
    } else if (reply?.lokahi === 'callback') {
      // What it throws is reported by the browser, as from any listener.
      calls.get(reply.id)?.callbacks[reply.index](...reply.args)
    } else if (reply?.lokahi === 'value' || reply?.lokahi === 'error') {
      const found = waiting.get(reply.id)
      if (!found) return
      waiting.delete(reply.id)
      const { open, resolve, reject } = found
      Object.assign(handles.get(open.handle)!.getters, gettersOf(reply.state ?? {}))
      if (reply.lokahi === 'value') resolve(unpacked(reply.value))
      else reject(reply.error === ABORTED ? open.aborted?.reason : unpackError(reply.error))
    }
  }

  const end = (error: Error) => {
    over ??= error
    if (port.terminate) port.terminate()
    else port.close?.()
    for (const { reject } of waiting.values()) reject(over)
    for (const { close } of calls.values()) close()
    waiting.clear()
  }

  port.addEventListener('message', ({ data }) => hear(data))
  // The worker may live on after an error that nobody caught, but some call will not end.
  port.addEventListener('error', (event: Event) => end(lost((event as ErrorEvent).message)))
  port.addEventListener('messageerror', () => end(lost('a message that cannot be read')))
  port.start?.()
  if (locks) post({ lokahi: 'live', name: life })
  return { root: handleOf({ is: 'handle', target: 0, methods, state: {} }), end }
}

/** Browsers say little of a script that they did not load. */
export function lost(what = 'its script did not load, or a policy forbids it'): LokahiError {
  return new LokahiError('WorkerLost', `the worker failed: ${what}`)
}
