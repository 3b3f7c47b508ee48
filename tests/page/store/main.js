// What the test calls in the page.
import { deleteCache, listCache } from 'lokahi'
import { openSource } from 'lokahi/source'

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** Opens a file and streams it; { size, sha256 } or { error }. `stopAt` aborts after so many bytes. */
async function load(
  folder,
  name,
  { how = 'stream', stopAt = Infinity, times = 1, ...options } = {},
) {
  const stop = new AbortController()
  const given = { ...options, signal: stop.signal }
  try {
    const file = await (await openSource(folder, given)).open(name, how)
    await file.read(0, 1000)
    let all
    for (let i = 0; i < times; i++) {
      all = []
      let size = 0
      for await (const piece of file.stream(given)) {
        all.push(piece.slice())
        size += piece.length
        if (size >= stopAt) stop.abort()
      }
    }
    const bytes = await new Blob(all).arrayBuffer()
    const sha256 = hex(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)))
    return { size: bytes.byteLength, sha256 }
  } catch (error) {
    return { error: error.name === 'LokahiError' ? error.code : error.name, message: error.message }
  }
}

/** Opens all files and reads their beginnings before the first is streamed; their bytes. */
async function loadAll(folder, names, options) {
  const { open } = await openSource(folder, options)
  const files = await Promise.all(names.map((name) => open(name, 'stream')))
  await Promise.all(files.map((file) => file.read(0, 100_000)))
  const sizes = []
  for (const file of files) {
    let size = 0
    for await (const piece of file.stream(options)) size += piece.length
    sizes.push(size)
  }
  return sizes
}

window.lokahi = { loadAll, load, listCache, deleteCache }
