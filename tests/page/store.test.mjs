// Weights in the Cache API and in the private file system of a real Chromium.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { numbers, serve, sha256, until } from '../node/loading/helper.mjs'
import { open } from './browser.mjs'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const bytes = numbers(12_000_000)
const right = { size: bytes.length, sha256: sha256(bytes) }
const files = {}
let opened
let server
let page
let url

before(async () => {
  const outDir = path('./output/store')
  const dist = (name) => path(`../../dist/${name}.js`)
  await build({
    configFile: false,
    logLevel: 'warn',
    root: path('./store'),
    resolve: { alias: { 'lokahi/source': dist('source'), lokahi: dist('index') } },
    build: { outDir, emptyOutDir: true, target: 'es2022' },
  })
  server = await serve(files)
  url = `${server.url}/a.bin`
  opened = await open({ webgpu: false, folder: outDir })
  page = await opened.browser.newPage()
  await page.goto(opened.url)
  await page.waitForFunction(() => window.lokahi)
})
after(async () => {
  await opened?.close()
  server?.close()
})
beforeEach(async () => {
  files['/a.bin'] = { bytes, etag: '"1"' }
  await deleteCache()
  server.asked.length = 0
})

const load = (options) =>
  page.evaluate(
    ([folder, options]) => window.lokahi.load(folder, 'a.bin', options),
    [`${server.url}/`, options],
  )
const listCache = () => page.evaluate(() => window.lokahi.listCache())
/** What is in the private file system, beyond what is listed. */
const leftover = () =>
  page.evaluate(async () => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('lokahi')
    return Array.fromAsync(folder.keys())
  })
const deleteCache = (url) => page.evaluate((url) => window.lokahi.deleteCache(url), url)

for (const store of ['caches', 'opfs']) {
  const options = { cache: store }

  test(`${store}: loaded once, taken from there by the next load and the next visit`, async () => {
    assert.deepEqual(await load(options), right)
    assert.deepEqual(await listCache(), [{ url, bytes: bytes.length, store }])
    assert.deepEqual(await load(options), right)
    await page.reload()
    await page.waitForFunction(() => window.lokahi)
    assert.deepEqual(await load({ ...options, how: 'keep', times: 2 }), right)
    assert.equal(server.asked.length, 1)
    assert.equal(await deleteCache(url), 1)
    assert.equal(await deleteCache(url), 0)
    assert.deepEqual(await listCache(), [])
    assert.deepEqual(await load(options), right)
    assert.equal(server.asked.length, 2)
    assert.equal(await deleteCache(), 1)
  })

  test(`${store}: an abort leaves nothing, and the next load works`, async () => {
    // More than fits in all that lies between the server and the page.
    files['/a.bin'].bytes = new Uint8Array(64_000_000)
    const { error } = await load({ ...options, stopAt: 3_000_000 })
    assert.equal(error, 'AbortError')
    await until(() => server.asked[0].closed)
    assert.deepEqual([await listCache(), await leftover()], [[], []])
    files['/a.bin'].bytes = bytes
    assert.deepEqual(await load(options), right)
    assert.deepEqual(await listCache(), [{ url, bytes: bytes.length, store }])
  })

  test(`${store}: a broken download goes on; one that cannot leaves nothing`, async () => {
    files['/a.bin'].breaks = [5_000_000]
    assert.deepEqual(await load(options), right)
    assert.equal(server.asked.length, 2)
    assert.match(server.asked[1].range, /^bytes=\d+-11999999$/)
    await deleteCache()
    files['/a.bin'] = { bytes, breaks: [5_000_000], ranges: false }
    const { error, message } = await load(options)
    assert.equal(error, 'Network')
    assert.match(message, /a\.bin.*after \d+ of 12000000 bytes/)
    assert.deepEqual(await listCache(), [])
    assert.deepEqual(await load(options), right)
  })

  test(`${store}: what differs from its SHA-256 is not stored`, async () => {
    const wrong = { 'a.bin': sha256('another') }
    assert.equal((await load({ ...options, sha256: wrong })).error, 'BadFile')
    assert.deepEqual(await listCache(), [])
    assert.deepEqual(await load({ ...options, sha256: { 'a.bin': right.sha256 } }), right)
    assert.equal((await load({ ...options, sha256: wrong })).error, 'BadFile')
    assert.deepEqual(await listCache(), [])
  })
}

test('no room: the load goes on without', async () => {
  const client = await page.context().newCDPSession(page)
  const origin = new URL(opened.url).origin
  await client.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 6_000_000 })
  try {
    for (const cache of ['caches', 'opfs']) {
      assert.deepEqual(await load({ cache, how: 'keep', times: 2 }), right)
      assert.deepEqual([await listCache(), await leftover()], [[], []])
    }
    assert.equal(server.asked.length, 2)
  } finally {
    await client.send('Storage.overrideQuotaForOrigin', { origin })
  }
})

test('the Cache API without being asked, nothing when told so', async () => {
  assert.deepEqual(await load({ cache: false }), right)
  assert.deepEqual(await listCache(), [])
  assert.deepEqual(await load(), right)
  assert.deepEqual(
    (await listCache()).map(({ store }) => store),
    ['caches'],
  )
})

test('a kept file is streamed again without the network', async () => {
  assert.deepEqual(await load({ cache: false, how: 'keep', times: 3 }), right)
  assert.equal(server.asked.length, 1)
  assert.deepEqual(await load({ cache: false, times: 2 }), right)
  assert.equal(server.asked.length, 3)
})

test('eight files from one server, all opened before any is streamed', async () => {
  const names = Array.from({ length: 8 }, (_, i) => `shard-${i}.bin`)
  for (const name of names) files[`/${name}`] = { bytes, etag: `"${name}"` }
  const sizes = await page.evaluate(
    ([folder, names]) => window.lokahi.loadAll(folder, names, { cache: false }),
    [`${server.url}/`, names],
  )
  assert.deepEqual(sizes, Array(8).fill(bytes.length))
})
