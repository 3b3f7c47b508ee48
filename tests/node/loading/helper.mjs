// A server that can do what servers do wrong, and a Cache API in memory.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { gzipSync } from 'node:zlib'
import { LokahiError } from 'lokahi'

/** Bytes that do not repeat where a piece might be left out or come twice. */
export function numbers(length) {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (Math.imul(i, 0x9e3779b1) >>> 15) & 0xff
  return bytes
}

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

/**
 * Serves `files`, by path: { bytes, etag, modified, ranges, breaks, status, chunked, gzip, range }. Each
 * of `breaks` ends one answer after so many bytes, each `status` refuses one range request, `range`
 * changes the content-range. `asked` holds the requests.
 */
export async function serve(files) {
  const asked = []
  const server = createServer(async (request, response) => {
    const file = files[request.url]
    const { range, 'if-range': ifRange } = request.headers
    const entry = { path: request.url, range, ifRange, sent: 0, closed: false }
    asked.push(entry)
    const closed = new Promise((done) => response.once('close', done))
    closed.then(() => (entry.closed = !response.writableFinished))
    if (!file) return response.writeHead(404).end('no')
    const { etag, modified, ranges = true } = file
    if (range && file.status?.length > 0) return response.writeHead(file.status.shift()).end('no')
    let [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? []
    const part = ranges && start !== undefined && (!ifRange || ifRange === (etag ?? modified))
    start = part ? Number(start) : 0
    end = part ? Math.min(Number(end) + 1, file.bytes.length) : file.bytes.length
    let body = file.bytes.subarray(start, end)
    const headers = {
      'cache-control': 'no-store',
      'access-control-allow-origin': '*',
      'access-control-expose-headers': 'content-range, etag',
      ...(etag && { etag }),
      ...(modified && { 'last-modified': modified }),
    }
    if (part) {
      headers['content-range'] = file.range ?? `bytes ${start}-${end - 1}/${file.bytes.length}`
    }
    if (file.gzip) {
      body = gzipSync(body)
      headers['content-encoding'] = 'gzip'
    }
    if (!file.chunked) headers['content-length'] = body.length
    response.writeHead(part ? 206 : 200, headers)
    const last = file.breaks?.shift() ?? Infinity
    for (let at = 0; at < body.length; at += 65_536) {
      const chunk = body.subarray(at, Math.min(at + 65_536, last))
      if (chunk.length > 0 && !response.write(chunk)) {
        const drained = new Promise((done) => response.once('drain', done))
        await Promise.race([drained, closed])
      }
      if (response.destroyed) return
      entry.sent += chunk.length
      if (at + 65_536 >= last) {
        // What was written goes out first.
        return setTimeout(() => response.destroy(), 20)
      }
    }
    response.end()
  })
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready))
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { url: `http://127.0.0.1:${server.address().port}`, asked, close }
}

/** A Cache API. A file of more bytes than `room` fails; `writing` counts those being stored. */
export function fakeCaches({ room = Infinity } = {}) {
  const stored = new Map()
  const cache = {
    async put(url, response) {
      fake.writing++
      try {
        const pieces = []
        let size = 0
        for await (const piece of response.body) {
          size += piece.length
          if (size > room) throw new DOMException('full', 'QuotaExceededError')
          pieces.push(new Uint8Array(piece))
        }
        stored.set(url, { body: Buffer.concat(pieces), headers: response.headers })
      } finally {
        fake.writing--
      }
    },
    async match(url) {
      const found = stored.get(url)
      return found && new Response(found.body, { headers: found.headers })
    },
    keys: async () => [...stored.keys()].map((url) => ({ url })),
    delete: async (url) => stored.delete(url),
  }
  const open = async (name) => (assert.equal(name, 'lokahi'), cache)
  const fake = { writing: 0, open }
  return fake
}

/** All bytes of a stream. */
export async function drain(pieces) {
  const all = []
  for await (const piece of pieces) all.push(Buffer.from(piece))
  return Buffer.concat(all)
}

/** An error with this code, whose message says so. */
export const refused =
  (code, ...says) =>
  (error) => {
    assert.ok(error instanceof LokahiError, String(error.stack))
    assert.equal(error.code, code)
    for (const words of says) assert.match(error.message, words)
    return true
  }

/** Waits until it is so. */
export async function until(holds) {
  for (let i = 0; i < 200; i++) {
    if (await holds()) return
    await new Promise((done) => setTimeout(done, 10))
  }
  assert.fail(`never so: ${holds}`)
}
