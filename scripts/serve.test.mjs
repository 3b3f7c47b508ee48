import assert from 'node:assert/strict'
import { mkdtemp, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { serve } from './serve.mjs'

let folder, server

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lokahi-serve-'))
  const site = join(folder, 'site')
  await mkdir(join(site, 'sub'), { recursive: true })
  await writeFile(join(folder, 'secret.txt'), 'secret')
  await writeFile(join(site, 'index.html'), '<p>home')
  await writeFile(join(site, 'sub/index.html'), '<p>sub')
  await writeFile(join(site, 'a.wasm'), new Uint8Array([0, 97, 115, 109]))
  await writeFile(join(site, 'a b.safetensors'), new Uint8Array(3_000_000).fill(7))
  await symlink(join(folder, 'secret.txt'), join(site, 'link.txt'))
  const models = join(folder, 'models')
  await mkdir(join(models, 'tiny'), { recursive: true })
  await writeFile(join(models, 'tiny/a.gguf'), 'GGUF')
  await symlink(join(folder, 'secret.txt'), join(models, 'link.gguf'))
  server = await serve(site, { port: 0, models })
})

after(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

/** Asks for a path as it stands: fetch would take the '..' out before asking. */
const ask = (path, { method = 'GET', headers = {} } = {}) =>
  new Promise((resolve, reject) => {
    const sent = request(server.url, { path, method, headers }, (response) => {
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () => {
        const { statusCode: status, headers } = response
        resolve({ status, headers, body: Buffer.concat(chunks) })
      })
    })
    sent.on('error', reject).end()
  })

test('a file comes whole, with its type and length', async () => {
  const wasm = await ask('/a.wasm')
  assert.equal(wasm.status, 200)
  assert.equal(wasm.headers['content-type'], 'application/wasm')
  assert.equal(wasm.headers['cache-control'], 'no-cache')

  const weights = await ask('/a%20b.safetensors?v=1')
  assert.equal(weights.headers['content-type'], 'application/octet-stream')
  assert.equal(weights.headers['content-length'], '3000000')
  assert.ok(weights.body.length === 3_000_000 && weights.body.every((byte) => byte === 7))
})

test('a folder is its index.html, under a slash', async () => {
  assert.equal(String((await ask('/')).body), '<p>home')
  assert.equal(String((await ask('/sub/')).body), '<p>sub')
  const moved = await ask('/sub?x=1')
  assert.deepEqual([moved.status, moved.headers.location], [301, 'sub/?x=1'])
})

test('an unchanged file is not sent again', async () => {
  const { etag } = (await ask('/a.wasm')).headers
  const again = await ask('/a.wasm', { headers: { 'if-none-match': etag } })
  assert.deepEqual([again.status, again.body.length], [304, 0])
})

test('nothing outside the folder is served', async () => {
  const ways = [
    '/../secret.txt',
    '/sub/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e%2fsecret.txt',
    '/..%5csecret.txt',
    '//../secret.txt',
    '/link.txt',
    '/models/../../secret.txt',
    '/models/%2e%2e/secret.txt',
    '/models/%2e%2e/site/index.html',
    '/models/..%2fsecret.txt',
    '/models/link.gguf',
    '/models/none.gguf',
    '/models/',
    '/tiny/a.gguf',
    '/%00',
    '/%',
    '/nothing.js',
  ]
  for (const path of ways) {
    const { status, body } = await ask(path)
    assert.deepEqual([path, status, String(body)], [path, 404, '404\n'])
  }
})

test('models come from a folder of their own, if there is one', async () => {
  const model = await ask('/models/tiny/a.gguf')
  assert.deepEqual([model.status, String(model.body)], [200, 'GGUF'])
  const without = await serve(folder, { port: 0, models: join(folder, 'absent') })
  assert.equal((await fetch(`${without.url}models/tiny/a.gguf`)).status, 404)
  await without.close()
})

test('only reading is answered', async () => {
  assert.equal((await ask('/', { method: 'POST' })).status, 405)
  const head = await ask('/a.wasm', { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '4', 0])
})

test('a taken port is passed over, or named when it was asked for', async () => {
  const first = await serve(folder)
  const second = await serve(folder)
  assert.notEqual(first.url, second.url)
  const port = Number(new URL(first.url).port)
  await assert.rejects(serve(folder, { port }), { message: `Port ${port} is taken` })
  await Promise.all([first.close(), second.close()])
})
