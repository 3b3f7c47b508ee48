import { LokahiError } from './errors.js'

/** Where files are stored: in the Cache API, or in the origin's private file system. */
export type Store = 'caches' | 'opfs'

/** A file that is stored. */
export interface Stored {
  /** Where it came from. */
  url: string
  /** Its size. */
  bytes: number
  /** Where it is. */
  store: Store
}

interface Place {
  read(url: string): Promise<Blob | undefined>
  /** Where to write a file, and when all of it is stored. */
  write(url: string, size: number): Promise<[WritableStream<Uint8Array>, Promise<unknown>]>
  list(): Promise<[url: string, bytes: number][]>
  delete(url: string): Promise<boolean>
}

/** Of the cache, and of the folder in the file system. */
const NAME = 'lokahi'

async function inCaches(): Promise<Place> {
  const cache = await caches.open(NAME)
  return {
    read: async (url) => (await cache.match(url))?.blob(),
    async write(url, size) {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
      const type = 'application/octet-stream'
      const headers = { 'content-length': `${size}`, 'content-type': type }
      return [writable, cache.put(url, new Response(readable as BodyInit, { headers }))]
    },
    async list() {
      const size = async ({ url }: Request): Promise<[string, number]> => {
        const response = await cache.match(url)
        return [url, Number(response?.headers.get('content-length') ?? 0)]
      }
      return Promise.all((await cache.keys()).map(size))
    },
    delete: (url) => cache.delete(url),
  }
}

/** A file has the name of its address. One that is empty was never written to its end. */
async function inFiles(): Promise<Place> {
  const root = await navigator.storage.getDirectory()
  const folder = await root.getDirectoryHandle(NAME, { create: true })
  const read = async (url: string) => {
    const handle = await folder.getFileHandle(encodeURIComponent(url)).catch(() => undefined)
    const file = await handle?.getFile()
    return file && file.size > 0 ? file : undefined
  }
  return {
    read,
    async write(url) {
      const handle = await folder.getFileHandle(encodeURIComponent(url), { create: true })
      const writable = await handle.createWritable()
      return [writable as WritableStream<Uint8Array>, Promise.resolve()]
    },
    async list() {
      const found: [string, number][] = []
      for await (const name of folder.keys()) {
        const url = decodeURIComponent(name)
        const file = await read(url)
        if (file) found.push([url, file.size])
      }
      return found
    },
    async delete(url) {
      const found = (await read(url)) !== undefined
      await folder.removeEntry(encodeURIComponent(url)).catch(() => undefined)
      return found
    },
  }
}

/** `undefined` where there is none: in Node, in insecure pages, where the user forbids it. */
async function place(store: Store): Promise<Place | undefined> {
  try {
    return await (store === 'caches' ? inCaches() : inFiles())
  } catch {
    return undefined
  }
}

type Choice = Store | false | undefined

async function chosen(url: URL, store: Choice = 'caches'): Promise<Place | undefined> {
  if (store === false || !/^https?:$/.test(url.protocol)) return undefined
  if (store === 'caches' || store === 'opfs') return place(store)
  throw new LokahiError('BadArgument', `cache: expected caches, opfs or false, got ${store}`)
}

/** A file that was stored. */
export async function stored(url: URL, store: Choice): Promise<Blob | undefined> {
  return (await chosen(url, store))?.read(url.href).catch(() => undefined)
}

/** Deletes it. */
export async function unstore(url: URL, store: Choice): Promise<void> {
  await (await chosen(url, store))?.delete(url.href)
}

/**
 * Hands pieces of a file on and stores them meanwhile; returns whether they were. What breaks off or
 * finds no room leaves nothing behind.
 */
export async function* storing(
  pieces: AsyncIterable<Uint8Array>,
  url: URL,
  size: number,
  store: Choice,
): AsyncGenerator<Uint8Array, boolean> {
  const place = await chosen(url, store)
  let writer: WritableStreamDefaultWriter<Uint8Array> | undefined
  let end: Promise<unknown> | undefined
  const drop = async () => {
    await writer?.abort().catch(() => undefined)
    writer = undefined
    // The empty file that one was written to; a whole one of another load stays.
    if (place && !(await stored(url, store))) await place.delete(url.href).catch(() => undefined)
  }
  /** Loading is worth more than storing. */
  const attempt = (step: () => Promise<unknown> | undefined) =>
    (step() ?? Promise.resolve()).catch(drop)
  await attempt(async () => {
    const writing = await place?.write(url.href, size)
    writer = writing?.[0].getWriter()
    end = writing?.[1]
    // It may fail before it is awaited below.
    end?.catch(() => undefined)
  })
  let complete = false
  try {
    for await (const piece of pieces) {
      await attempt(() => writer?.write(piece))
      yield piece
    }
    await attempt(() => writer?.close())
    await attempt(() => end)
    complete = true
    return writer !== undefined
  } finally {
    if (!complete) await drop()
  }
}

/** The files that are stored. */
export async function listCache(): Promise<Stored[]> {
  const found: Stored[] = []
  for (const store of ['caches', 'opfs'] as const) {
    const files = (await (await place(store))?.list()) ?? []
    found.push(...files.map(([url, bytes]) => ({ url, bytes, store })))
  }
  return found
}

/** Deletes one file from the stores, or all of them; returns how many. */
export async function deleteCache(url?: string | URL): Promise<number> {
  const files = await listCache()
  const wanted = url === undefined ? undefined : new URL(url, globalThis.location?.href).href
  let count = 0
  for (const file of files) {
    if (wanted !== undefined && file.url !== wanted) continue
    if (await (await place(file.store))?.delete(file.url)) count++
  }
  return count
}
