/** The Node entry: the same interface; the wasm and folders come from disk, the CPU computes. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { platform } from './platform.js'

platform.wasm = async () => readFile(new URL('./lokahi_bg.wasm', import.meta.url))

platform.folder = (source) => {
  const url = source instanceof URL || /^[a-z][a-z\d+.-]+:/i.test(source)
  if (url && new URL(source).protocol !== 'file:') return undefined
  if (!url && !/^(\/|\.\.?(\/|$))/.test(String(source))) return undefined
  const folder = url ? fileURLToPath(source) : String(source)
  return async (file) => {
    try {
      return await readFile(join(folder, file))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }
}

export * from './index.js'
