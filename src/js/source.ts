import { ofAddress } from './address.js'
import { ofBlob, ofMemory, type Bytes, type How } from './bytes.js'
import { checked } from './check.js'
import { LokahiError } from './errors.js'
import { platform } from './platform.js'
import type { Store } from './store.js'

/**
 * Where a model or an adapter comes from: the address of a folder or of one file, a Hub id
 * (`owner/name[@revision]`), files that were picked or dropped, or bytes by file name. In Node also a
 * path, which begins with `/`, `./` or `../`.
 */
export type Source =
  string | URL | File | readonly File[] | Readonly<Record<string, ArrayBuffer | Uint8Array>>

/** How far a load is. */
export interface Progress {
  /** Bytes of a file came, all of them did, or the model can be used. */
  status: 'download' | 'done' | 'ready'
  /** Its name; empty when the model is ready. */
  file: string
  /** Bytes so far. */
  loaded: number
  /** Bytes in all; 0 where the server does not say. */
  total: number
  /** From 0 to 100. */
  progress: number
}

/** Of what takes its time. */
export interface TaskOptions {
  /** Called again and again while bytes come. */
  onProgress?: (progress: Progress) => void
  /** Rejects with `AbortError`. */
  signal?: AbortSignal
}

/** How to find files. */
export interface LoadOptions extends TaskOptions {
  /** Of a Hub id: a branch, a tag or a commit; `main` where neither this nor the id says. */
  revision?: string
  /** The one file that is the model, where a folder has several. Others of its kind are not seen. */
  file?: string
  /**
   * Where weights of models that come from an address are stored: `caches` (the default) is the Cache
   * API, `opfs` the origin's private file system, `false` nowhere; nowhere too where the browser has
   * none or no room. What is stored is used as it is, without asking the server, until `deleteCache`.
   */
  cache?: Store | false
  /**
   * SHA-256 of files by their names, in hex. A file that differs is a `BadFile` and is not stored. Of
   * a file that has one, all bytes are read, where the header would do too.
   */
  sha256?: Readonly<Record<string, string>>
}

/** Where files are found by name. */
export interface Folder {
  /** The names that are there, where that can be known. */
  names?: readonly string[]
  /** A file, `undefined` where there is none; by default it is read in `parts`. */
  open(name: string, how?: How): Promise<Bytes | undefined>
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
  const { file, revision, sha256 = {} } = options
  if (revision !== undefined && !isHubId(source)) {
    throw new LokahiError('BadArgument', `revision: ${describe(source)} is no Hub id`)
  }
  const { names, open } = await find(source, options)
  const hidden = (name: string) => file !== undefined && name !== file && MODEL.test(name)
  return {
    names:
      file === undefined ? names : [file, ...(names ?? []).filter((name) => !MODEL.test(name))],
    async open(name, how = 'parts') {
      if (hidden(name)) return undefined
      const hash = Object.hasOwn(sha256, name) ? sha256[name] : undefined
      const bytes = await open(name, hash !== undefined && how === 'parts' ? 'whole' : how)
      return bytes && checked(bytes, hash, how, options)
    },
  }
}

async function find(source: Source, options: LoadOptions): Promise<Folder> {
  if (typeof source === 'string' || source instanceof URL) {
    const folder = await platform.folder(source)
    if (folder) return folder
    const url = address(source, options.revision)
    if (!url.pathname.endsWith('/')) {
      const name = decodeURIComponent(url.pathname.split('/').pop() ?? '')
      return {
        names: [name],
        open: async (file, how = 'parts') =>
          file === name ? ofAddress(url, how, options) : undefined,
      }
    }
    const path = (file: string) => file.split('/').map(encodeURIComponent).join('/')
    return { open: (file, how = 'parts') => ofAddress(new URL(path(file), url), how, options) }
  }
  if (globalThis.File && source instanceof File) return find([source], options)
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

/** The files of a model that `file` stands instead of. */
const MODEL = /\.(safetensors|gguf)(\.index\.json)?$/i

function isHubId(source: Source): source is string {
  if (typeof source !== 'string' || FILE.test(source)) return false
  return HUB_ID.test(source) && !/^\.\.?\//.test(source)
}

/** The address of a file, or of a folder with a slash at its end. */
function address(source: string | URL, revision?: string): URL {
  if (isHubId(source)) {
    const [id, named = 'main'] = source.split('@')
    const version = encodeURIComponent(revision ?? named)
    return new URL(`https://huggingface.co/${id}/resolve/${version}/`)
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
