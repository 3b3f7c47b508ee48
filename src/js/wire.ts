/** What crosses between a page and its worker, and how it is packed. */
import type { Adapter } from './adapter.js'
import type { Base } from './base.js'
import { LokahiError, type ErrorCode } from './errors.js'
import type { Model } from './model.js'
import type { Product } from './product.js'
import type { Tokenizer } from './tokenizer.js'

/** Their objects stay in the worker; the page has a handle of each. */
export interface Classes {
  Model: Model
  Adapter: Adapter
  Base: Base
  Tokenizer: Tokenizer
  Product: Product
}

/** What a handle tells without asking: it comes with the handle, and anew when a call changed it. */
export const told = {
  Model: [
    'backend',
    'config',
    'parameters',
    'modules',
    'adapters',
    'merged',
    'tokenizer',
    'memory',
  ],
  Adapter: ['format', 'metadata', 'whole', 'bytes', 'modules', 'warnings', 'parameters'],
  Base: [],
  Tokenizer: [],
  Product: ['backend', 'shape'],
} as const satisfies { [C in keyof Classes]: readonly (keyof Classes[C])[] }

/** Methods that a handle has not: those inside the package, and what is no use from afar. */
export const hidden = ['constructor', 'core', 'find', 'inTools', 'detokenizer'] as const

type Generating = {
  [K in keyof Model]: Model[K] extends (...args: never) => AsyncGenerator ? K : never
}[keyof Model]

/** Methods that give one value after another. */
export const generators: Readonly<Record<Generating | 'compare', true>> = {
  generate: true,
  generateIds: true,
  compare: true,
}

/** A `Worker`, or what can be spoken to like one. */
export interface Port {
  /** Sends to the other end. */
  postMessage(message: unknown, transfer: Transferable[]): void
  /** Hears what the other end sends, and its errors. */
  addEventListener(type: string, listener: (event: MessageEvent) => void): void
  /** A port of a channel waits for it. */
  start?(): void
  /** Ends a port of a channel. */
  close?(): void
  /** Ends a worker. */
  terminate?(): void
}

/** A message of the page. */
export type Request =
  | {
      lokahi: 'call'
      id: number
      /** A handle's; 0 is what there is from the start. */
      target: number
      method: string
      args: unknown
      /** What addresses are relative to. */
      base: string | undefined
    }
  | { lokahi: 'next'; id: number; step: number }
  | { lokahi: 'return' | 'abort'; id: number }
  | { lokahi: 'free'; target: number }
  /** The name of the lock to hold for life. */
  | { lokahi: 'live'; name: string }

/** A message of the worker. `id` is that of a call or of a step. */
export type Reply =
  | { lokahi: 'value'; id: number; value: unknown; state?: State }
  | { lokahi: 'error'; id: number; error: PackedError | typeof ABORTED; state?: State }
  | { lokahi: 'callback'; id: number; index: number; args: unknown[] }
  /** It holds the lock. */
  | { lokahi: 'lives' }

/** In place of an error: the page has the reason, whatever it is. */
export const ABORTED = 'aborted'

/** What getters give or throw. */
export type State = Record<string, { value: unknown } | { error: PackedError }>

/** What stands for a value that cannot be copied. */
export type Mark =
  | { is: 'callback'; index: number }
  | { is: 'signal'; aborted: boolean }
  | { is: 'held'; target: number }
  | { is: 'handle'; target: number; methods: string[]; state: State }

/** A map, as nothing that comes from a file holds one. */
export const packMark = (mark: Mark): { by: unknown } => ({ by: new Map([['lokahi', mark]]) })

export function unpack(value: unknown, found: (mark: Mark) => unknown): unknown {
  return replaced(value, (object) => {
    const mark = object instanceof Map ? object.get('lokahi') : undefined
    return mark && { by: found(mark) }
  })
}

/** A copy of arrays and plain objects, with some values replaced. */
export function replaced(
  value: unknown,
  replace: (value: object) => { by: unknown } | undefined,
): unknown {
  if (typeof value !== 'function' && (typeof value !== 'object' || value === null)) return value
  const other = replace(value)
  if (other) return other.by
  if (Array.isArray(value)) return value.map((each) => replaced(each, replace))
  const prototype = Object.getPrototypeOf(value)
  // Plain ones of another frame too.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return value
  const entries = Object.entries(value)
  return Object.fromEntries(entries.map(([name, each]) => [name, replaced(each, replace)]))
}

/** A part of a buffer would take the whole along. */
export function alone(view: ArrayBufferView): ArrayBufferView {
  if (view.byteLength === view.buffer.byteLength) return view
  // Not its own `slice`: that of Node's buffers shares the memory.
  return Uint8Array.prototype.slice.call(view)
}

/** An error as plain data: copied as it is, it would lose its class, and most names. */
export interface PackedError {
  code: ErrorCode | undefined
  dom: boolean
  name: string
  message: string
  stack: string | undefined
  cause: PackedError | undefined
}

export function packError(error: unknown, withCause = true): PackedError {
  const { name, message, stack, cause } = error instanceof Error ? error : new Error(String(error))
  return {
    code: error instanceof LokahiError ? error.code : undefined,
    dom: error instanceof DOMException,
    name,
    message,
    stack,
    cause: withCause && cause !== undefined ? packError(cause, false) : undefined,
  }
}

const USUAL = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError }

export function unpackError({ code, dom, name, message, stack, cause }: PackedError): Error {
  if (dom) return new DOMException(message, name)
  const options = cause && { cause: unpackError(cause) }
  const Kind = USUAL[name as keyof typeof USUAL] ?? Error
  const error = code ? new LokahiError(code, message, options) : new Kind(message, options)
  if (error.name !== name) error.name = name
  error.stack = stack
  return error
}
