import { LokahiError } from './errors.js'
import type { WasmName, WasmSource } from './platform.js'

/**
 * Hashes as the `integrity` of HTML has them (`sha384-...`, several with spaces between them: one has to
 * fit), or all of `lokahi/integrity.json`.
 */
export type Integrity = string | Readonly<Record<string, string>>

/** The bytes of the wasm, after they were compared. */
export async function intact(
  source: WasmSource,
  name: WasmName,
  integrity: Integrity,
): Promise<BufferSource> {
  const file = `${name}_bg.wasm`
  const [bits, wanted] = hashesOf(typeof integrity === 'string' ? integrity : integrity[file], file)
  const bytes = await bytesOf(source)
  // The browser's own hash is missing in insecure pages.
  const hash = (await import('@noble/hashes/sha2.js'))[`sha${bits}`]
  const found = btoa(String.fromCharCode(...hash(bytes)))
  if (wanted.includes(found)) return bytes
  const expected = wanted.map((hash) => `sha${bits}-${hash}`).join(' or ')
  throw new LokahiError(
    'IntegrityMismatch',
    `${file}: expected ${expected}, got sha${bits}-${found}`,
  )
}

const strengths = [512, 384, 256] as const

/** Those of the strongest kind, as browsers take them. */
function hashesOf(list: string | undefined, file: string) {
  const hashes = (list ?? '').split(/\s+/)
  for (const bits of strengths) {
    const kind = `sha${bits}-`
    const of = hashes.filter((hash) => hash.startsWith(kind)).map((hash) => hash.slice(kind.length))
    if (of.length > 0) return [bits, of] as const
  }
  const got = list === undefined ? 'nothing' : `"${list}"`
  throw new LokahiError(
    'BadArgument',
    `integrity of ${file}: expected sha256-, sha384- or sha512- and base64, got ${got}`,
  )
}

async function bytesOf(source: WasmSource): Promise<Uint8Array<ArrayBuffer>> {
  if (source instanceof WebAssembly.Module) {
    throw new LokahiError('BadArgument', 'a compiled module has no bytes to compare with integrity')
  }
  if (source instanceof ArrayBuffer) return new Uint8Array(source)
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
  }
  const response = source instanceof Response ? source : await fetch(source)
  if (!response.ok) throw new Error(`status ${response.status}`)
  return new Uint8Array(await response.arrayBuffer())
}
