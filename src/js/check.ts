import type { Bytes, How } from './bytes.js'
import { LokahiError } from './errors.js'
import type { TaskOptions } from './source.js'

/** A file whose stream tells progress, ends with the signal, and is compared with its SHA-256. */
export async function checked(
  bytes: Bytes,
  sha256: string | undefined,
  how: How,
  { signal }: TaskOptions,
): Promise<Bytes> {
  const file = { ...bytes, stream: (options: TaskOptions) => watched(bytes, sha256, options) }
  // Of one that will not be streamed, no part may be used before all of it was compared.
  if (sha256 !== undefined && (how === 'parts' || how === 'whole')) {
    for await (const _ of file.stream({ signal }));
  }
  return file
}

async function* watched(
  bytes: Bytes,
  sha256: string | undefined,
  options: TaskOptions,
): AsyncGenerator<Uint8Array> {
  const { signal, onProgress } = options
  const { name: file, size: total } = bytes
  signal?.throwIfAborted()
  const hash = sha256 === undefined ? undefined : await hasher()
  let loaded = 0
  for await (const piece of bytes.stream(options)) {
    signal?.throwIfAborted()
    hash?.update(piece)
    loaded += piece.length
    onProgress?.({ status: 'download', file, loaded, total, progress: (100 * loaded) / total })
    yield piece
    signal?.throwIfAborted()
  }
  const got = hash && Array.from(hash.digest(), hex).join('')
  if (got !== sha256?.toLowerCase()) {
    await bytes.forget?.()
    throw new LokahiError('BadFile', `${file}: expected SHA-256 ${sha256}, got ${got}`)
  }
  onProgress?.({ status: 'done', file, loaded, total, progress: 100 })
}

/** The browser's own takes no pieces, and is missing in insecure pages. */
async function hasher() {
  const { sha256 } = await import('@noble/hashes/sha2.js')
  return sha256.create()
}

const hex = (byte: number) => byte.toString(16).padStart(2, '0')
