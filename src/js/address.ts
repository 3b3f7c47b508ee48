import { join, ofBlob, ofMemory, ofParts, type Bytes, type How } from './bytes.js'
import { Download, ask, lengthOf, tagOf } from './download.js'
import { LokahiError } from './errors.js'
import type { LoadOptions, TaskOptions } from './source.js'
import { stored, storing, unstore } from './store.js'

/**
 * A file at an address; `undefined` where the server has none. What is stored is taken as it is.
 * Parts come by range requests; from a server that does not know them the file comes whole. One that
 * is streamed is a single plain request, which every server knows, and is stored on its way.
 */
export async function ofAddress(
  url: URL,
  how: How,
  options: LoadOptions,
): Promise<Bytes | undefined> {
  const name = decodeURIComponent(url.pathname.split('/').pop() ?? '')
  const forget = () => unstore(url, options.cache)
  const found = await stored(url, options.cache)
  options.signal?.throwIfAborted()
  if (found) return { ...ofBlob(name, found), forget }
  if (how === 'parts') return byRanges(url, name, options)
  const response = await ask(url, options)
  if (response.status === 404) return undefined
  const size = lengthOf(response)
  const download = new Download(url, response, 0, size, size, options.signal)
  if (how !== 'whole' && size !== undefined) return live(download, name, size, how, options)
  const bytes = ofMemory(name, await all(download, name, options))
  if (how === 'whole') return bytes
  const stream = () => storing(bytes.stream(options), url, bytes.size, options.cache)
  return { ...bytes, stream, forget }
}

/** The first request brings this much, which holds most headers. */
const FIRST = 1 << 16

async function byRanges(url: URL, name: string, options: LoadOptions): Promise<Bytes | undefined> {
  const { signal } = options
  const response = await ask(url, options, 0, FIRST)
  if (response.status === 404) return undefined
  // An empty file has no first byte.
  if (response.status === 416) return ofMemory(name, new Uint8Array())
  const total = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]
  if (response.status !== 206 || total === undefined) {
    // Headers may be hidden from other origins: then the size is not known.
    if (response.status === 206) await response.body?.cancel()
    const whole = response.status === 206 ? await ask(url, options) : response
    const size = lengthOf(whole)
    const download = new Download(url, whole, 0, size, size, signal)
    return ofMemory(name, await all(download, name, options))
  }
  const size = Number(total)
  const download = new Download(url, response, 0, Math.min(FIRST, size), size, signal)
  const first = await all(download, name, {})
  const read = async (start: number, end: number): Promise<Uint8Array> => {
    if (end <= first.length) return first.subarray(start, end)
    // What came with the first request is not asked for again.
    const known = first.subarray(Math.min(start, first.length))
    if (known.length > 0) return join(known, await read(first.length, end))
    const response = await ask(url, options, start, end)
    const [from, to] = response.status === 206 ? [start, end] : [0, size]
    const download = new Download(url, response, from, to, size, signal)
    const part = await all(download, name, end - start > FIRST ? options : {})
    if (part.length === to - from) return part.subarray(start - from, end - from)
    // The file was changed.
    throw new LokahiError(
      'Network',
      `${url}: expected bytes ${start} to ${end} of ${size}, got ${part.length} bytes`,
    )
  }
  return ofParts(name, size, read)
}

/** All bytes of a download, with progress. */
async function all(
  download: Download,
  file: string,
  { onProgress }: TaskOptions,
): Promise<Uint8Array> {
  const { at, end = at } = download
  const pieces: Uint8Array[] = []
  for await (const piece of download.pieces()) {
    pieces.push(piece)
    const [loaded, total] = [download.at - at, end - at]
    const progress = total > 0 ? Math.min(100, (100 * loaded) / total) : 0
    onProgress?.({ status: 'download', file, loaded, total, progress })
  }
  return join(...pieces)
}

/**
 * Downloads that were begun and wait to be streamed. Browsers hold six connections to a server: of
 * many waiting files the oldest give theirs up, and go on by a range request.
 */
const waiting = new Set<Download>()

function wait(download: Download): void {
  waiting.delete(download)
  waiting.add(download)
  const [oldest] = waiting
  if (waiting.size > 4 && waiting.delete(oldest)) void oldest.close()
}

/** A file that is being downloaded: nothing comes before it is asked for. */
function live(
  first: Download,
  name: string,
  size: number,
  how: How,
  { cache, signal: opening }: LoadOptions,
): Bytes {
  const { url, tag } = first
  /** What was read of the beginning, for the stream. */
  let head: Uint8Array[] = []
  let held = 0
  let kept: Blob | undefined
  let source: Promise<Download | Bytes> | undefined = Promise.resolve(first)
  wait(first)

  /** Where the file comes from once a stream has used the download up. */
  const again = async (signal: AbortSignal | undefined) => {
    const blob = kept ?? (await stored(url, cache))
    if (blob) return ofBlob(name, blob)
    const response = await ask(url, { signal })
    if (lengthOf(response) === size && tagOf(response) === tag) {
      return new Download(url, response, 0, size, size, signal)
    }
    await response.body?.cancel()
    throw new LokahiError('Network', `${url}: the file has changed since it was opened`)
  }
  const begin = async (signal: AbortSignal | undefined) => {
    source ??= again(signal)
    try {
      return await source
    } catch (error) {
      source = undefined
      throw error
    }
  }

  const read = async (start: number, end: number) => {
    const from = await begin(opening)
    if (!(from instanceof Download)) return from.read(start, end)
    while (held < end) {
      const piece = await from.next()
      if (!piece) break
      head.push(piece)
      held += piece.length
    }
    wait(from)
    if (head.length !== 1) head = [join(...head)]
    return head[0].subarray(start, end)
  }

  const stream = async function* ({ signal }: TaskOptions) {
    const from = await begin(signal)
    source = undefined
    if (!(from instanceof Download)) return yield* from.stream({ signal })
    waiting.delete(from)
    from.signal = signal
    let pieces = exactly(size, from, head)
    head = []
    held = 0
    const parts: Blob[] = []
    if (how === 'keep') pieces = keeping(pieces, parts)
    const isStored = yield* storing(pieces, url, size, cache)
    if (how === 'keep' && !isStored) kept = new Blob(parts)
  }

  const close = async () => {
    const from = await source?.catch(() => undefined)
    if (!(from instanceof Download)) return
    waiting.delete(from)
    await from.close()
  }
  const forget = async () => {
    kept = undefined
    await unstore(url, cache)
  }
  return { name, size, read, stream, close, forget }
}

/** A body that is longer than was said is not the file that was opened. */
async function* exactly(
  size: number,
  download: Download,
  head: readonly Uint8Array[],
): AsyncGenerator<Uint8Array> {
  yield* download.pieces(head)
  if (download.at === size) return
  throw new LokahiError('Network', `${download.url}: expected ${size} bytes, got ${download.at}`)
}

/** The browser may keep a Blob on disk, other than an array. */
async function* keeping(
  pieces: AsyncIterable<Uint8Array>,
  parts: Blob[],
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    parts.push(new Blob([piece as BlobPart]))
    yield piece
  }
}
