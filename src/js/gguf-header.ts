import { join, type Bytes } from './bytes.js'
import { engine } from './engine.js'
import { call } from './errors.js'
import { CoreGguf } from './lokahi.js'

/** Vocabularies make headers long: 2 MB for 49 000 tokens. */
const FIRST = 1 << 21

/** Reads the header of a GGUF file, and little behind it. */
export async function readGgufHeader(
  bytes: Bytes,
  signal: AbortSignal | undefined,
): Promise<CoreGguf> {
  engine()
  let prefix: Uint8Array = new Uint8Array()
  for (let length = Math.min(bytes.size, FIRST); ;) {
    prefix = join(prefix, await bytes.read(prefix.length, length))
    signal?.throwIfAborted()
    const header = call(() => CoreGguf.read(bytes.name, prefix, bytes.size))
    if (header.wanted === undefined) return header
    length = Math.min(bytes.size, Math.max(header.wanted, 2 * length))
    header.free()
  }
}
