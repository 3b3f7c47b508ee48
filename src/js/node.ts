/** The Node entry: the same interface; the wasm and folders come from disk, the CPU computes. */
import { open, readFile, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { ofParts, type Bytes } from './bytes.js'
import { LokahiError } from './errors.js'
import { platform } from './platform.js'

platform.wasm = async (name) => readFile(new URL(`./${name}_bg.wasm`, import.meta.url))

platform.folder = async (source) => {
  const url = source instanceof URL || /^[a-z][a-z\d+.-]+:/i.test(source)
  if (url && new URL(source).protocol !== 'file:') return undefined
  if (!url && !/^(\/|\.\.?(\/|$))/.test(String(source))) return undefined
  const path = url ? fileURLToPath(source) : String(source)
  const found = await stat(path).catch(gone)
  if (found?.isFile()) {
    const name = basename(path)
    return { names: [name], open: async (file) => (file === name ? ofDisk(path) : undefined) }
  }
  const names = await readdir(path).catch(gone)
  return { names: names ?? [], open: (file) => ofDisk(join(path, file)) }
}

/** A file on disk, opened for each read: a handle that is kept would have to be closed. */
async function ofDisk(path: string): Promise<Bytes | undefined> {
  const found = await stat(path).catch(gone)
  if (!found) return undefined
  const read = async (start: number, end: number) => {
    const file = await open(path)
    try {
      const part = new Uint8Array(end - start)
      const { bytesRead } = await file.read(part, 0, part.length, start)
      if (bytesRead === part.length) return part
      const got = `${bytesRead} bytes at ${start}`
      throw new LokahiError('BadFile', `${path}: expected ${part.length} bytes, got ${got}`)
    } finally {
      await file.close()
    }
  }
  return ofParts(basename(path), found.size, read)
}

/** A file that is not there is no error of its own. */
function gone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error
  return undefined
}

export * from './face.js'
