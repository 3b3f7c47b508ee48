/**
 * The stable names of everything that can go wrong. The first group comes from the core, the second
 * from this face.
 */
export type ErrorCode =
  | 'BadFile'
  | 'MissingFile'
  | 'BadConfig'
  | 'MissingTensor'
  | 'UnknownTensor'
  | 'ShapeMismatch'
  | 'NotFinite'
  | 'BaseMismatch'
  | 'Unsupported'
  | 'BadArgument'
  | 'NoConvergence'
  | 'UnknownAdapter'
  | 'AdapterExists'
  | 'Merged'
  | 'ContextFull'
  | 'Device'
  | 'DeviceLost'
  | 'NotInitialised'
  | 'WasmNotFound'
  | 'IntegrityMismatch'
  | 'Network'
  | 'Disposed'
  | 'WorkerLost'

/** An error that says what was expected, what came, and where. `code` is stable, `message` is not. */
export class LokahiError extends Error {
  /** What went wrong, for programs. */
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'LokahiError'
    this.code = code
  }
}

/** An error of the core, as it crosses from wasm: a plain `Error` with a `code`. */
function fromCore(error: unknown): unknown {
  if (error instanceof Error && !(error instanceof LokahiError) && 'code' in error) {
    return new LokahiError(error.code as ErrorCode, error.message, { cause: error })
  }
  return error
}

/** Calls the core; its errors become `LokahiError`. */
export function call<T>(core: () => T): T {
  try {
    return core()
  } catch (error) {
    throw fromCore(error)
  }
}

/** Awaits the core; its errors become `LokahiError`. */
export async function wait<T>(core: () => Promise<T>): Promise<T> {
  try {
    return await core()
  } catch (error) {
    throw fromCore(error)
  }
}

/** Checks a number that a caller gave. */
export function whole(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    const expected = `a whole number from ${least} to ${most}`
    throw new LokahiError('BadArgument', `${name}: expected ${expected}, got ${value}`)
  }
}
