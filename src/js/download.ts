import { LokahiError } from './errors.js'
import type { TaskOptions } from './source.js'

/** How often in a row a broken download is taken up again. */
const TRIES = 3

/** Those that came this far since are not in a row. */
const FAR = 1 << 20

/** Sends a request. 404 and 416 are left to the caller, other refusals are errors. */
export async function ask(
  url: URL,
  { signal }: TaskOptions,
  start?: number,
  end = 0,
): Promise<Response> {
  const headers = new Headers()
  if (start !== undefined) headers.set('range', `bytes=${start}-${end - 1}`)
  let response
  try {
    response = await fetch(url, { headers, signal })
  } catch (cause) {
    signal?.throwIfAborted()
    throw new LokahiError('Network', `${url}: ${(cause as Error).message}`, { cause })
  }
  if (!response.ok) await response.body?.cancel()
  if (!response.ok && response.status !== 404 && response.status !== 416) {
    throw new LokahiError('Network', `${url}: the server answered ${response.status}`)
  }
  return response
}

/** What the body of a plain answer is long; `undefined` where that cannot be known. */
export function lengthOf({ headers }: Response): number | undefined {
  // That of a compressed body counts other bytes than those that come out.
  const length = headers.has('content-encoding') ? null : headers.get('content-length')
  return length === null ? undefined : Number(length)
}

/** What changes when the file does. */
export function tagOf({ headers }: Response): string | null {
  return headers.get('etag') ?? headers.get('last-modified')
}

/** The body of an answer. Where the connection breaks, the rest is asked for. */
export class Download {
  readonly tag: string | null
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  #tries = 0
  /** Where it broke last. */
  #broke = 0

  /** From the byte `at` to `end` of a file of `size` bytes; without an `end`, as far as it comes. */
  constructor(
    readonly url: URL,
    response: Response,
    public at: number,
    public end: number | undefined,
    readonly size: number | undefined,
    public signal: AbortSignal | undefined,
  ) {
    this.tag = tagOf(response)
    this.#reader = response.body?.getReader()
  }

  /** The next bytes, `undefined` at the end. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (!this.#reader && this.at === this.end) return undefined
      let cause
      try {
        this.#reader ??= await this.#askOn()
        const { done, value } = await this.#reader.read()
        if (!done) {
          this.at += value.length
          // More than was promised: compressed, and the server hides that from other origins.
          if (this.end !== undefined && this.at > this.end) this.end = undefined
          return value
        }
        if (this.end === undefined) return undefined
        cause = new Error('it ended too early')
      } catch (error) {
        cause = error as Error
      }
      await this.close()
      this.signal?.throwIfAborted()
      if (this.at === this.end) continue
      if (cause instanceof LokahiError) throw cause
      if (this.at - this.#broke >= FAR) this.#tries = 0
      this.#broke = this.at
      if (this.end === undefined || this.#tries === TRIES) throw this.#broken(cause.message, cause)
      await pause(250 * 2 ** this.#tries++, this.signal)
    }
  }

  /** What was read before, and all that comes. */
  async *pieces(before: readonly Uint8Array[] = []): AsyncGenerator<Uint8Array> {
    const { signal } = this
    const stop = () => void this.close()
    signal?.addEventListener('abort', stop)
    try {
      yield* before
      for (let piece; (piece = await this.next());) yield piece
    } finally {
      signal?.removeEventListener('abort', stop)
      await this.close()
    }
  }

  /** Lets go of the connection. What is asked for after that comes by a new one. */
  async close(): Promise<void> {
    const reader = this.#reader
    this.#reader = undefined
    await reader?.cancel().catch(() => undefined)
  }

  /** Asks for the rest, which must be of the same file. */
  async #askOn(): Promise<ReadableStreamDefaultReader<Uint8Array>> {
    const { url, at, end, signal, tag } = this
    if (end === undefined) throw this.#broken('its length is not known')
    const headers = new Headers({ range: `bytes=${at}-${end - 1}` })
    // Other origins would have to allow this header; the tag is compared anyway.
    const here = url.origin === (globalThis.location?.origin ?? url.origin)
    if (here && tag !== null && !tag.startsWith('W/')) headers.set('if-range', tag)
    const response = await fetch(url, { headers, signal })
    const range = response.headers.get('content-range')
    const wanted = `bytes ${at}-${end - 1}/${this.size}`
    const same = range === wanted && tagOf(response) === tag
    if (response.status === 206 && same && response.body) return response.body.getReader()
    await response.body?.cancel()
    const got = `${response.status}${range === null ? '' : ` with ${range}`}`
    // A server that is busy may be so no longer.
    if (response.status >= 500 || response.status === 429) throw new Error(`got ${got}`)
    const changed = range === wanted ? ' of another version of the file' : ''
    throw this.#broken(`expected 206 with ${wanted}, got ${got}${changed}`)
  }

  #broken(why: string, cause?: unknown): LokahiError {
    const { url, at, end } = this
    const where = `broke off after ${at} of ${end ?? 'unknown'} bytes`
    return new LokahiError('Network', `${url}: the download ${where}: ${why}`, { cause })
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms)
    const stop = () => (clearTimeout(timer), resolve())
    signal?.addEventListener('abort', stop, { once: true })
  })
  signal?.throwIfAborted()
}
