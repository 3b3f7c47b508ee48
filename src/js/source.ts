import { LokahiError } from './errors.js'
import { platform } from './platform.js'

/**
 * Where a model or an adapter comes from: the address of a folder, a Hub id
 * (`owner/name[@revision]`), files that were picked or dropped, or bytes by file name. In Node also a
 * path, which begins with `/`, `./` or `../`.
 */
export type Source =
  string | URL | readonly File[] | Readonly<Record<string, ArrayBuffer | Uint8Array>>

export interface Progress {
  status: 'download' | 'done' | 'ready'
  file: string
  /** Bytes so far. */
  loaded: number
  /** Bytes in all; 0 where the server does not say. */
  total: number
  /** From 0 to 100. */
  progress: number
}

export interface LoadOptions {
  onProgress?: (progress: Progress) => void
  /** Rejects with `AbortError`. */
  signal?: AbortSignal
}

/** Reads files of a folder; those that are not `needed` may be missing. */
export async function readFolder(
  source: Source,
  needed: readonly string[],
  optional: readonly string[],
  options: LoadOptions,
): Promise<Map<string, Uint8Array>> {
  options.signal?.throwIfAborted()
  const folder = open(source, options)
  const found = new Map<string, Uint8Array>()
  for (const file of [...needed, ...optional]) {
    const bytes = await folder(file)
    options.signal?.throwIfAborted()
    if (bytes) {
      found.set(file, bytes)
      const { length } = bytes
      options.onProgress?.({ status: 'done', file, loaded: length, total: length, progress: 100 })
    } else if (needed.includes(file)) {
      throw new LokahiError('MissingFile', `missing file ${file} in ${describe(source)}`)
    }
  }
  return found
}

type Folder = (file: string) => Promise<Uint8Array | undefined>

function open(source: Source, options: LoadOptions): Folder {
  if (typeof source === 'string' || source instanceof URL) {
    return platform.folder(source) ?? fetchFrom(address(source), options)
  }
  if (Array.isArray(source)) {
    const files = source as readonly File[]
    return async (name) => {
      const file = files.find((file) => file.name === name)
      return file && new Uint8Array(await file.arrayBuffer())
    }
  }
  if (source && typeof source === 'object') {
    const bytes = source as Readonly<Record<string, ArrayBuffer | Uint8Array>>
    return async (name) => {
      const data = Object.hasOwn(bytes, name) ? bytes[name] : undefined
      return data && (data instanceof Uint8Array ? data : new Uint8Array(data))
    }
  }
  throw new LokahiError('BadArgument', `source: expected an address, files or bytes, got ${source}`)
}

const HUB_ID = /^[\w.-]+\/[\w.-]+(@[\w./-]+)?$/

/** The folder's address, with a slash at its end. */
function address(source: string | URL): URL {
  if (typeof source === 'string' && HUB_ID.test(source) && !/^\.\.?\//.test(source)) {
    const [id, revision = 'main'] = source.split('@')
    return new URL(`https://huggingface.co/${id}/resolve/${revision}/`)
  }
  const base = globalThis.document?.baseURI ?? globalThis.location?.href
  let url
  try {
    url = new URL(source, base)
  } catch (cause) {
    throw new LokahiError('BadArgument', `source: ${source} is no address`, { cause })
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/'
  return url
}

function fetchFrom(folder: URL, { signal, onProgress }: LoadOptions): Folder {
  return async (file) => {
    const url = new URL(file, folder)
    let response
    try {
      response = await fetch(url, { signal })
    } catch (cause) {
      throw networkError(url, cause, signal)
    }
    if (response.status === 404) return undefined
    if (!response.ok) {
      throw new LokahiError('Network', `${url}: the server answered ${response.status}`)
    }
    const total = Number(response.headers.get('content-length') ?? 0)
    const chunks: Uint8Array[] = []
    let loaded = 0
    const reader = response.body?.getReader()
    if (!reader) return new Uint8Array(await response.arrayBuffer())
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
    const bytes = new Uint8Array(loaded)
    let at = 0
    for (const chunk of chunks) {
      bytes.set(chunk, at)
      at += chunk.length
    }
    return bytes
  }
}

/** An abort stays an `AbortError`; all else is the network's. */
function networkError(url: URL, cause: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason
  return new LokahiError('Network', `${url}: ${(cause as Error).message}`, { cause })
}

function describe(source: Source): string {
  if (typeof source === 'string' || source instanceof URL) return String(source)
  const names = Array.isArray(source) ? source.map((file: File) => file.name) : Object.keys(source)
  return names.length > 0 ? names.join(', ') : 'an empty folder'
}
