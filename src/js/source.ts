import { ofAddress, ofBlob, ofMemory, type Bytes } from './bytes.js'
import { LokahiError } from './errors.js'
import { platform } from './platform.js'

/**
 * Where a model or an adapter comes from: the address of a folder or of one file, a Hub id
 * (`owner/name[@revision]`), files that were picked or dropped, or bytes by file name. In Node also a
 * path, which begins with `/`, `./` or `../`.
 */
export type Source =
  string | URL | File | readonly File[] | Readonly<Record<string, ArrayBuffer | Uint8Array>>

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

/** Where files are found by name. */
export interface Folder {
  /** The names that are there, where that can be known. */
  names?: readonly string[]
  /** A file, `undefined` where there is none. `whole` says that all of it will be read. */
  open(name: string, how?: any): Promise<Bytes | undefined>
}

/** Reads files of a folder; those that are not `needed` may be missing. */
export async function readFolder(
  source: Source,
  needed: readonly string[],
  optional: readonly string[],
  options: LoadOptions,
): Promise<Map<string, Uint8Array>> {
  options.signal?.throwIfAborted()
  const folder = await openSource(source, options)
  const found = new Map<string, Uint8Array>()
  for (const file of [...needed, ...optional]) {
    const bytes = await folder.open(file, true)
    options.signal?.throwIfAborted()
    if (bytes) {
      found.set(file, await readWhole(bytes, options))
    } else if (needed.includes(file)) {
      throw missing(file, source)
    }
  }
  return found
}

/** All bytes of a file. */
export async function readWhole(bytes: Bytes, options: LoadOptions): Promise<Uint8Array> {
  const { name: file, size } = bytes
  const whole = await bytes.read(0, size)
  options.signal?.throwIfAborted()
  options.onProgress?.({ status: 'done', file, loaded: size, total: size, progress: 100 })
  return whole
}

/** The error of a file that is not there. */
export function missing(file: string, source: Source): LokahiError {
  return new LokahiError('MissingFile', `missing file ${file} in ${describe(source)}`)
}

/** The files of a source. One file is a folder of one. */
export async function openSource(source: Source, options: LoadOptions): Promise<Folder> {
  if (typeof source === 'string' || source instanceof URL) {
    const folder = await platform.folder(source)
    if (folder) return folder
    const url = address(source)
    if (!url.pathname.endsWith('/')) {
      const name = decodeURIComponent(url.pathname.split('/').pop() ?? '')
      return {
        names: [name],
        open: async (file, whole: any = false) =>
          file === name ? ofAddress(url, !!whole, options) : undefined,
      }
    }
    return { open: (file, whole: any = false) => ofAddress(new URL(file, url), !!whole, options) }
  }
  if (globalThis.File && source instanceof File) return openSource([source], options)
  if (Array.isArray(source)) {
    const files = source as readonly File[]
    const open = async (name: string) => {
      const file = files.find((file) => file.name === name)
      return file && ofBlob(name, file)
    }
    return { names: files.map((file) => file.name), open }
  }
  if (source && typeof source === 'object') {
    const bytes = source as Readonly<Record<string, ArrayBuffer | Uint8Array>>
    const open = async (name: string) =>
      Object.hasOwn(bytes, name) ? ofMemory(name, bytes[name]) : undefined
    return { names: Object.keys(bytes), open }
  }
  throw new LokahiError('BadArgument', `source: expected an address, files or bytes, got ${source}`)
}

const HUB_ID = /^[\w.-]+\/[\w.-]+(@[\w./-]+)?$/

/** An address that ends like this is a file; any other is a folder. */
const FILE = /\.(safetensors|gguf)$/i

/** The address of a file, or of a folder with a slash at its end. */
function address(source: string | URL): URL {
  const text = String(source)
  if (typeof source === 'string' && HUB_ID.test(text) && !/^\.\.?\//.test(text)) {
    if (!FILE.test(text)) {
      const [id, revision = 'main'] = text.split('@')
      return new URL(`https://huggingface.co/${id}/resolve/${revision}/`)
    }
  }
  let url
  try {
    url = new URL(source, platform.base())
  } catch (cause) {
    throw new LokahiError('BadArgument', `source: ${source} is no address`, { cause })
  }
  if (!url.pathname.endsWith('/') && !FILE.test(url.pathname)) url.pathname += '/'
  return url
}

function describe(source: Source): string {
  if (typeof source === 'string' || source instanceof URL) return String(source)
  if (globalThis.File && source instanceof File) return source.name
  const names = Array.isArray(source) ? source.map((file: File) => file.name) : Object.keys(source)
  return names.length > 0 ? names.join(', ') : 'an empty folder'
}
