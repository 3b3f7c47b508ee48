import { LokahiError } from './errors.js'
import type { LoadOptions } from './source.js'

/** A file of which any part can be read. */
export interface Bytes {
  name: string
  /** Bytes of the whole file. */
  size: number
  read(start: number, end: number): Promise<Uint8Array>
}

/** A file that is in memory. */
export function ofMemory(name: string, data: ArrayBuffer | Uint8Array): Bytes {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data)
  return { name, size: bytes.length, read: async (start, end) => bytes.subarray(start, end) }
}

/** A file that was picked or dropped: parts are read from disk when they are asked for. */
export function ofBlob(name: string, blob: Blob): Bytes {
  const read = async (start: number, end: number) =>
    new Uint8Array(await blob.slice(start, end).arrayBuffer())
  return { name, size: blob.size, read }
}

/** The first request brings this much, which holds most headers. */
const FIRST = 1 << 16

/**
 * A file at an address; `undefined` where the server has none. Parts come by range requests; from a
 * server that does not know them, or for one who wants it `whole`, the file comes at once.
 */
export async function ofAddress(
  url: URL,
  whole: boolean,
  options: LoadOptions,
): Promise<Bytes | undefined> {
  const name = url.pathname.split('/').pop() ?? ''
  const response = whole ? await ask(url, options) : await ask(url, options, 0, FIRST)
  if (response.status === 404) return undefined
  // An empty file has no first byte.
  if (response.status === 416) return ofMemory(name, new Uint8Array())
  const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]
  if (response.status !== 206 || total === undefined) {
    // Headers may be hidden from other origins: then the size is not known.
    const all = response.status === 206 ? await ask(url, options) : response
    return ofMemory(name, await download(url, all, name, options))
  }
  const first = await download(url, response, name, { signal: options.signal })
  const size = Number(total)
  const read = async (start: number, end: number): Promise<Uint8Array> => {
    if (end <= first.length) return first.subarray(start, end)
    // What came with the first request is not asked for again.
    const known = first.subarray(Math.min(start, first.length))
    if (known.length > 0) return join(known, await read(first.length, end))
    const response = await ask(url, options, start, end)
    const part = await download(url, response, name, end - start > FIRST ? options : {}, size)
    if (response.status === 206 && part.length === end - start) return part
    // The file was changed or the server changed its mind.
    if (response.status === 200 && part.length === size) return part.subarray(start, end)
    throw new LokahiError(
      'Network',
      `${url}: expected bytes ${start} to ${end} of ${size}, got ${part.length} bytes`,
    )
  }
  return { name, size, read }
}

async function ask(url: URL, { signal }: LoadOptions, start?: number, end = 0): Promise<Response> {
  const headers = new Headers()
  if (start !== undefined) headers.set('range', `bytes=${start}-${end - 1}`)
  let response
  try {
    response = await fetch(url, { headers, signal })
  } catch (cause) {
    throw networkError(url, cause, signal)
  }
  if (!response.ok && response.status !== 404 && response.status !== 416) {
    throw new LokahiError('Network', `${url}: the server answered ${response.status}`)
  }
  return response
}

/** The body of a response, with progress. */
async function download(
  url: URL,
  response: Response,
  file: string,
  { signal, onProgress }: LoadOptions,
  size?: number,
): Promise<Uint8Array> {
  const total = Number(response.headers.get('content-length') ?? size ?? 0)
  const reader = response.body?.getReader()
  if (!reader) return new Uint8Array(await response.arrayBuffer())
  const chunks: Uint8Array[] = []
  let loaded = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      chunks.push(value)
      loaded += value.length
      const progress = total > 0 ? Math.min(100, (100 * loaded) / total) : 0
      onProgress?.({ status: 'download', file, loaded, total, progress })
    }
  } catch (cause) {
    throw networkError(url, cause, signal)
  }
  return join(...chunks)
}

/** Bytes one behind the other. */
export function join(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** An abort stays an `AbortError`; all else is the network's. */
function networkError(url: URL, cause: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason
  return new LokahiError('Network', `${url}: ${(cause as Error).message}`, { cause })
}

/** Gaps up to this size are read along: a request costs more than their bytes. */
const GAP = 1 << 14

/** Reads many parts of a file, those that lie near each other at once; `ranges` as start, end, ... */
export async function readParts(
  bytes: Bytes,
  ranges: Float64Array,
  signal: AbortSignal | undefined,
  found: (start: number, part: Uint8Array) => void,
): Promise<void> {
  const sorted: [number, number][] = []
  for (let i = 0; i < ranges.length; i += 2) sorted.push([ranges[i], ranges[i + 1]])
  sorted.sort(([a], [b]) => a - b)
  const joined: [number, number][] = []
  for (const [start, end] of sorted) {
    const last = joined.at(-1)
    if (last && start - last[1] <= GAP) last[1] = Math.max(last[1], end)
    else joined.push([start, end])
  }
  // Several at once hide the time that each takes to answer.
  const queue = joined.values()
  const work = async () => {
    for (const [start, end] of queue) {
      signal?.throwIfAborted()
      found(start, await bytes.read(start, end))
    }
  }
  await Promise.all(Array.from({ length: 8 }, work))
}
