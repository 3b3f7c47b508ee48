// A static server for the built page and for its tests: this machine only, no dependencies.
import { createReadStream } from 'node:fs'
import { readFile, realpath, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, sep } from 'node:path'
import { pipeline } from 'node:stream'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { isMain, root } from './tools.mjs'

const types = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.jpg': 'image/jpeg',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.webp': 'image/webp',
  '.woff2': 'font/woff2',
}

/**
 * Serves a folder. Without a port, the first free one from 8080 is taken; port 0 is any free one.
 * `headers` come with every file. `models` is a folder that is served as /models/, where it is there.
 * `compress` sends code and text in gzip, as hosts of pages do; the first time takes a moment.
 * Resolves to { url, close }.
 */
export async function serve(folder, { port, headers, models, compress = false } = {}) {
  const base = await realpath(folder)
  const compressed = compress ? new Map() : undefined
  const server = createServer((request, response) => {
    answer(base, models, request, response, headers, compressed).catch(() => refuse(response, 500))
  })
  const wanted = port === undefined ? Array.from({ length: 100 }, (_, i) => 8080 + i) : [port]
  await listen(server, wanted)
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    close: () =>
      new Promise((closed) => {
        server.close(closed)
        server.closeAllConnections()
      }),
  }
}

async function answer(site, models, request, response, more, compressed) {
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response, 405)

  const [path, query] = request.url.split(/\?(.*)/s)
  const ofModels = models !== undefined && path.startsWith('/models/')
  let base, file
  try {
    base = ofModels ? await realpath(models) : site
    file = await realpath(join(base, decodeURIComponent(ofModels ? path.slice(7) : path)))
  } catch {
    return refuse(response, 404)
  }
  // Asked of the real path, so that neither '..' nor a link leads out of the folder.
  if (file !== base && !file.startsWith(base + sep)) return refuse(response, 404)

  let found = await stat(file)
  if (found.isDirectory()) {
    // Without the slash, the page's relative addresses would start one folder too high.
    if (!path.endsWith('/')) {
      const name = path.slice(path.lastIndexOf('/') + 1)
      return refuse(response, 301, { Location: `${name}/${query ? `?${query}` : ''}` })
    }
    file = join(file, 'index.html')
    found = await stat(file).catch(() => undefined)
  }
  if (!found?.isFile()) return refuse(response, 404)

  // The browser may keep a file, but asks each time whether it is still the same.
  const etag = `"${found.size.toString(16)}-${Math.round(found.mtimeMs).toString(16)}"`
  const headers = {
    ETag: etag,
    'Cache-Control': 'no-cache',
    'X-Content-Type-Options': 'nosniff',
    ...more,
  }
  if (request.headers['if-none-match'] === etag) return response.writeHead(304, headers).end()

  const type = types[extname(file).toLowerCase()] ?? 'application/octet-stream'
  if (compressed && /text|json|wasm|svg/.test(type)) {
    if (!compressed.has(file))
      compressed.set(file, await zipped(await readFile(file), { level: 9 }))
    const body = compressed.get(file)
    const encoding = { 'Content-Encoding': 'gzip', 'Content-Length': body.length }
    return response.writeHead(200, { ...headers, 'Content-Type': type, ...encoding }).end(body)
  }
  response.writeHead(200, { ...headers, 'Content-Type': type, 'Content-Length': found.size })
  if (request.method === 'HEAD') return response.end()
  // A visitor who leaves midway is no error of ours.
  pipeline(createReadStream(file), response, () => {})
}

const zipped = promisify(gzip)

function refuse(response, status, headers = {}) {
  if (response.headersSent) return response.destroy()
  response.writeHead(status, { 'Content-Type': 'text/plain', ...headers }).end(`${status}\n`)
}

/** Takes the first of these ports that is free. */
async function listen(server, [port, ...others]) {
  try {
    await new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject)
        resolve()
      })
    })
  } catch (error) {
    if (error.code !== 'EADDRINUSE') throw error
    if (others.length === 0) throw new Error(`Port ${port} is taken`)
    await listen(server, others)
  }
}

if (isMain(import.meta)) {
  const [folder = 'www/dist', port] = process.argv.slice(2)
  const models = join(root, 'models')
  const { url } = await serve(folder, { port: port && Number(port), models })
  console.log(`${folder} is at ${url}`)
}
