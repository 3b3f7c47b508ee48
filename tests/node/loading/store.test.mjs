// What is stored, what is not, and files that are compared with their SHA-256.
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { deleteCache, listCache } from 'lokahi'
import { openSource } from '../../../dist/source.js'
import { drain, fakeCaches, numbers, refused, serve, sha256, until } from './helper.mjs'

const bytes = numbers(3_000_000)
const files = {}
let server
let url
before(async () => {
  server = await serve(files)
  url = `${server.url}/a.bin`
})
after(() => server.close())
beforeEach(() => {
  globalThis.caches = fakeCaches()
  server.asked.length = 0
  files['/a.bin'] = { bytes }
})
afterEach(() => delete globalThis.caches)

const open = async (how, options = {}) =>
  (await openSource(`${server.url}/`, options)).open('a.bin', how)

/** Opens the file and streams it. */
const load = async (options = {}, how = 'stream') =>
  drain((await open(how, options)).stream(options))

test('what was streamed is stored; the next load needs no server', async () => {
  assert.ok((await load()).equals(bytes))
  assert.deepEqual(await listCache(), [{ url, bytes: bytes.length, store: 'caches' }])
  assert.equal(server.asked.length, 1)
  // Used as it is, whatever the server has by now, and by all who read.
  files['/a.bin'] = { bytes: numbers(10) }
  assert.ok((await load()).equals(bytes))
  for (const how of ['parts', 'whole', 'keep']) {
    const file = await open(how)
    assert.equal(file.size, bytes.length)
    assert.ok(Buffer.from(await file.read(1000, 9000)).equals(bytes.subarray(1000, 9000)))
  }
  assert.equal(server.asked.length, 1)
  assert.equal(await deleteCache(url), 1)
  assert.equal(await deleteCache(url), 0)
  assert.equal((await load()).length, 10)
  assert.equal(server.asked.length, 2)
})

test('only what is streamed is stored, and nothing where that is turned off or not there', async () => {
  for (const how of ['parts', 'whole']) await (await open(how)).read(0, bytes.length)
  await load({ cache: false })
  // There is no private file system in Node.
  await load({ cache: 'opfs' })
  assert.deepEqual(await listCache(), [])
  await assert.rejects(load({ cache: 'disk' }), refused('BadArgument', /cache.*disk/))
  const memory = await openSource({ 'a.bin': bytes }, {})
  await drain((await memory.open('a.bin', 'stream')).stream({}))
  assert.deepEqual(await listCache(), [])
  delete globalThis.caches
  server.asked.length = 0
  for (let i = 0; i < 2; i++) assert.ok((await load()).equals(bytes))
  assert.equal(server.asked.length, 2)
  assert.deepEqual(await listCache(), [])
  assert.equal(await deleteCache(), 0)
  globalThis.caches = { open: () => Promise.reject(new DOMException('no', 'SecurityError')) }
  assert.ok((await load()).equals(bytes))
})

test('a file without a length is stored too', async () => {
  files['/a.bin'] = { bytes, chunked: true }
  for (let i = 0; i < 2; i++) assert.ok((await load()).equals(bytes))
  assert.equal(server.asked.length, 1)
  assert.equal((await listCache())[0].bytes, bytes.length)
})

test('all files are listed and deleted', async () => {
  const folder = await openSource(`${server.url}/`, {})
  for (const name of ['b.bin', 'c.bin']) {
    files[`/${name}`] = { bytes }
    await drain((await folder.open(name, 'stream')).stream({}))
  }
  await load()
  assert.equal((await listCache()).length, 3)
  assert.equal(await deleteCache(`${server.url}/b.bin`), 1)
  assert.equal(await deleteCache(), 2)
  assert.deepEqual(await listCache(), [])
})

test('no room for it: the load goes on', async () => {
  globalThis.caches = fakeCaches({ room: 1_000_000 })
  for (let i = 0; i < 2; i++) assert.ok((await load()).equals(bytes))
  assert.equal(server.asked.length, 2)
  assert.deepEqual(await listCache(), [])
  // Then it is kept in memory for those who want it again.
  const file = await open('keep')
  for (let i = 0; i < 2; i++) assert.ok((await drain(file.stream({}))).equals(bytes))
  assert.equal(server.asked.length, 3)
})

test('a stored file is streamed again from the store', async () => {
  const file = await open('keep')
  for (let i = 0; i < 2; i++) assert.ok((await drain(file.stream({}))).equals(bytes))
  assert.equal(server.asked.length, 1)
  // Which shows that no other copy is kept.
  await deleteCache()
  assert.ok((await drain(file.stream({}))).equals(bytes))
  assert.equal(server.asked.length, 2)
})

test('one that breaks off, is left or aborted leaves nothing, and the next load works', async () => {
  files['/a.bin'] = { bytes, ranges: false, breaks: [1_000_000] }
  await assert.rejects(load(), refused('Network', /1000000 of 3000000/))
  const left = await open('stream')
  for await (const _ of left.stream({})) break
  const stop = new AbortController()
  const aborted = await open('stream', { signal: stop.signal })
  const pieces = aborted.stream({ signal: stop.signal })
  const abort = async () => {
    for await (const _ of pieces) stop.abort()
  }
  await assert.rejects(abort(), { name: 'AbortError' })
  // At the last piece as well.
  const late = new AbortController()
  const end = async () => {
    let at = 0
    for await (const piece of (await open('stream')).stream({ signal: late.signal })) {
      at += piece.length
      if (at === bytes.length) late.abort()
    }
  }
  await assert.rejects(end(), { name: 'AbortError' })
  await until(() => caches.writing === 0)
  assert.deepEqual(await listCache(), [])
  assert.ok((await load()).equals(bytes))
  assert.equal((await listCache()).length, 1)
})

test('a download that broke and went on is stored as a whole', async () => {
  files['/a.bin'] = { bytes, breaks: [1_000_000] }
  assert.ok((await load()).equals(bytes))
  assert.equal(server.asked.length, 2)
  assert.ok((await load()).equals(bytes))
  assert.equal(server.asked.length, 2)
})

test('a file that differs from its SHA-256 is refused and not stored', async () => {
  const right = sha256(bytes)
  const wrong = sha256('another')
  const said = refused('BadFile', /a\.bin/, new RegExp(wrong), new RegExp(right))
  const options = (hash) => ({ sha256: { 'a.bin': hash, 'other.bin': wrong } })
  await assert.rejects(load(options(wrong)), said)
  assert.deepEqual(await listCache(), [])
  assert.ok((await load(options(right.toUpperCase()))).equals(bytes))
  assert.equal((await listCache()).length, 1)
  // From the store as well, which forgets it.
  await assert.rejects(load(options(wrong)), said)
  assert.deepEqual(await listCache(), [])
  for (const how of ['parts', 'whole']) {
    await assert.rejects(open(how, options(wrong)), said)
    const file = await open(how, options(right))
    assert.ok(Buffer.from(await file.read(5, 500)).equals(bytes.subarray(5, 500)))
  }
  for (const source of [{ 'a.bin': bytes }, [new File([bytes], 'a.bin')]]) {
    await assert.rejects((await openSource(source, options(wrong))).open('a.bin'), said)
    const file = await (await openSource(source, options(wrong))).open('a.bin', 'stream')
    await assert.rejects(drain(file.stream({})), said)
  }
  // What is kept is forgotten too.
  globalThis.caches = undefined
  const kept = await open('keep', options(wrong))
  await assert.rejects(drain(kept.stream({})), said)
  server.asked.length = 0
  await assert.rejects(drain(kept.stream({})), said)
  assert.equal(server.asked.length, 1)
})
