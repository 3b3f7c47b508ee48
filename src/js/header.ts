import type { Bytes } from './bytes.js'
import { call } from './errors.js'
import type { CoreFile } from './lokahi.js'

/** Most headers are shorter. */
const FIRST = 1 << 16

/** Reads the header of a safetensors file, and nothing behind it. It must be freed. */
export async function readHeader(
  core: { CoreFile: typeof CoreFile },
  bytes: Bytes,
  signal: AbortSignal | undefined,
): Promise<CoreFile> {
  for (let length = Math.min(bytes.size, FIRST); ;) {
    const prefix = await bytes.read(0, length)
    signal?.throwIfAborted()
    const file = call(() => core.CoreFile.read(bytes.name, prefix, bytes.size))
    if (file.wanted === undefined) return file
    length = file.wanted
    file.free()
  }
}
