// Files as streams, from every kind of source, and downloads that break.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import 'lokahi'
import { openSource } from '../../../dist/source.js'
import { drain, numbers, refused, serve, until } from './helper.mjs'

const bytes = numbers(3_000_000)
const files = {}
let server
before(async () => (server = await serve(files)))
after(() => server.close())

/** A file of the server's own behaviour, opened; { file, asked } with the requests for it alone. */
async function opened(path, behaviour, how = 'stream', options = {}) {
  files[path] = { bytes, ...behaviour }
  const folder = await openSource(`${server.url}/`, options)
  const file = await folder.open(path.slice(1), how)
  return { file, asked: () => server.asked.filter((request) => request.path === path) }
}

test('every kind of source streams all bytes in order, in pieces of 4 MiB, twice', async () => {
  const large = numbers(10_000_000)
  const place = await mkdtemp(join(tmpdir(), 'lokahi-'))
  try {
    await writeFile(join(place, 'a.bin'), large)
    for (const source of [
      { 'a.bin': large },
      { 'a.bin': large.buffer },
      [new File([large], 'a.bin')],
      place,
    ]) {
      const file = await (await openSource(source, {})).open('a.bin', 'stream')
      assert.deepEqual([file.name, file.size], ['a.bin', large.length])
      assert.deepEqual(Buffer.from(await file.read(5, 9)), Buffer.from(large.subarray(5, 9)))
      for (let i = 0; i < 2; i++) {
        const seen = []
        const onProgress = ({ status, loaded, total }) => seen.push([status, loaded, total])
        assert.ok((await drain(file.stream({ onProgress }))).equals(large))
        assert.deepEqual(seen, [
          ['download', 4_194_304, 10_000_000],
          ['download', 8_388_608, 10_000_000],
          ['download', 10_000_000, 10_000_000],
          ['done', 10_000_000, 10_000_000],
        ])
      }
    }
  } finally {
    await rm(place, { recursive: true })
  }
})

test('an address is one plain request: its beginning is read, then all is streamed', async () => {
  // A server without ranges is as good.
  const { file, asked } = await opened('/plain.bin', { ranges: false })
  assert.equal(file.size, bytes.length)
  assert.ok(Buffer.from(await file.read(0, 100)).equals(bytes.subarray(0, 100)))
  assert.ok(
    Buffer.from(await file.read(50_000, 2_000_000)).equals(bytes.subarray(50_000, 2_000_000)),
  )
  assert.ok(Buffer.from(await file.read(0, 100)).equals(bytes.subarray(0, 100)))
  const seen = []
  const all = await drain(file.stream({ onProgress: (progress) => seen.push(progress) }))
  assert.ok(all.equals(bytes))
  assert.deepEqual(seen.at(-1), {
    status: 'done',
    file: 'plain.bin',
    loaded: bytes.length,
    total: bytes.length,
    progress: 100,
  })
  assert.deepEqual(
    asked().map(({ range }) => range),
    [undefined],
  )
  // Nothing was kept: it is asked for again.
  assert.ok(Buffer.from(await file.read(9, 99)).equals(bytes.subarray(9, 99)))
  assert.ok((await drain(file.stream({}))).equals(bytes))
  assert.equal(asked().length, 2)
  assert.equal(await (await openSource(`${server.url}/`, {})).open('no.bin', 'stream'), undefined)
})

test('no more comes than was asked for', async () => {
  const large = new Uint8Array(64_000_000)
  const { file, asked } = await opened('/large.bin', { bytes: large })
  await file.read(0, 1000)
  await new Promise((done) => setTimeout(done, 300))
  const { sent } = asked()[0]
  assert.ok(sent < 20_000_000, `${sent} bytes`)
  await file.close()
  await until(() => asked()[0].closed)
})

test('a kept file is streamed again without the network', async () => {
  const { file, asked } = await opened('/kept.bin', {}, 'keep')
  for (let i = 0; i < 3; i++) assert.ok((await drain(file.stream({}))).equals(bytes))
  assert.ok(Buffer.from(await file.read(7, 70)).equals(bytes.subarray(7, 70)))
  assert.equal(asked().length, 1)
})

test('a file that was changed in between is not taken for the same', async () => {
  const { file } = await opened('/between.bin', { etag: '"1"' })
  await drain(file.stream({}))
  files['/between.bin'] = { bytes, etag: '"2"' }
  await assert.rejects(drain(file.stream({})), refused('Network', /between\.bin.*changed/))
  files['/between.bin'] = { bytes, etag: '"1"' }
  assert.ok((await drain(file.stream({}))).equals(bytes))
})

test('without a length, or compressed, it comes whole', async () => {
  for (const [path, behaviour] of [
    ['/chunked.bin', { chunked: true }],
    ['/gzip.bin', { gzip: true }],
  ]) {
    const { file, asked } = await opened(path, behaviour)
    assert.equal(file.size, bytes.length)
    assert.ok((await drain(file.stream({}))).equals(bytes))
    assert.ok(Buffer.from(await file.read(9, 99)).equals(bytes.subarray(9, 99)))
    assert.equal(asked().length, 1)
  }
  const broken = opened('/cut.bin', { chunked: true, breaks: [1_000_000] })
  await assert.rejects(broken, refused('Network', /cut\.bin.* of unknown bytes/))
})

test('a broken download goes on from the byte that it reached, and progress counts on', async () => {
  for (const [how, tag] of [
    ['stream', { etag: '"v1"' }],
    ['keep', { modified: 'Wed, 01 Jul 2026 00:00:00 GMT' }],
    ['stream', { etag: 'W/"weak"' }],
    ['stream', {}],
  ]) {
    const breaks = [1_000_000, 1_200_000]
    const { file, asked } = await opened('/broken.bin', { ...tag, breaks }, how)
    server.asked.length = 0
    const seen = []
    const all = await drain(file.stream({ onProgress: ({ loaded }) => seen.push(loaded) }))
    assert.ok(all.equals(bytes))
    assert.ok(seen.every((loaded, i) => i === 0 || loaded >= seen[i - 1]))
    const [second, third] = asked()
    assert.equal(second.range, 'bytes=1000000-2999999')
    assert.equal(third.range, 'bytes=2200000-2999999')
    const strong = tag.etag === 'W/"weak"' ? undefined : (tag.etag ?? tag.modified)
    assert.equal(second.ifRange, strong)
    assert.ok((await drain(file.stream({}))).equals(bytes))
  }
})

test('files that are read whole or in parts go on as well', async () => {
  const whole = await opened('/whole.bin', { breaks: [500_000] }, 'whole')
  assert.ok(Buffer.from(await whole.file.read(0, bytes.length)).equals(bytes))
  assert.equal(whole.asked().at(-1).range, 'bytes=500000-2999999')
  const parts = await opened('/parts.bin', {}, 'parts')
  files['/parts.bin'].breaks = [200_000]
  const part = await parts.file.read(1_000_000, 2_000_000)
  assert.ok(Buffer.from(part).equals(bytes.subarray(1_000_000, 2_000_000)))
  assert.equal(parts.asked().at(-1).range, 'bytes=1200000-1999999')
})

test('a busy server is asked again, three times in all', async () => {
  const first = await opened('/busy.bin', { breaks: [1_000_000], status: [503, 429] })
  assert.ok((await drain(first.file.stream({}))).equals(bytes))
  assert.equal(first.asked().length, 4)
  const second = await opened('/down.bin', { breaks: [1_000_000], status: [503, 503, 503, 503] })
  const start = performance.now()
  const said = refused('Network', /down\.bin.*after 1000000 of 3000000 bytes.*503/)
  await assert.rejects(drain(second.file.stream({})), said)
  assert.equal(second.asked().length, 4)
  // 250, 500 and 1000 ms.
  assert.ok(performance.now() - start > 1700)
  // And the next load is a clean one.
  files['/down.bin'] = { bytes }
  assert.ok((await drain(second.file.stream({}))).equals(bytes))
})

test('a server that cannot go on, or has another file by now, is a named error', async () => {
  const breaks = () => [1_000_000]
  const at = /after 1000000 of 3000000 bytes/
  const ignoring = await opened('/ignoring.bin', { breaks: breaks(), ranges: false })
  await assert.rejects(drain(ignoring.file.stream({})), refused('Network', at, /206.*got 200/))
  assert.equal(ignoring.asked().length, 2)
  const changed = await opened('/changed.bin', { breaks: breaks(), etag: '"1"' })
  files['/changed.bin'].etag = '"2"'
  await assert.rejects(drain(changed.file.stream({})), refused('Network', at, /got 200/))
  // A weak tag cannot be sent along: it is compared.
  const weak = await opened('/weak.bin', { breaks: breaks(), etag: 'W/"1"' })
  files['/weak.bin'].etag = 'W/"2"'
  await assert.rejects(drain(weak.file.stream({})), refused('Network', at, /another version/))
  const grown = await opened('/grown.bin', { breaks: breaks() })
  files['/grown.bin'].range = 'bytes 1000000-2999999/3000001'
  await assert.rejects(drain(grown.file.stream({})), refused('Network', at, /3000001/))
  const gone = await opened('/gone.bin', { breaks: breaks() })
  delete files['/gone.bin']
  await assert.rejects(drain(gone.file.stream({})), refused('Network', at, /got 404/))
})

test('an abort ends a stream at once, whoever gave the signal, and lets go of the connection', async () => {
  const reason = new Error('enough')
  for (const where of ['open', 'stream', 'pause']) {
    const stop = new AbortController()
    const { signal } = stop
    const path = `/abort-${where}.bin`
    const large = numbers(32_000_000)
    const behaviour = { bytes: large, ...(where === 'pause' && { breaks: [1_000_000] }) }
    const { file, asked } = await opened(
      path,
      behaviour,
      'stream',
      where === 'open' ? { signal } : {},
    )
    if (where === 'pause') files[path].status = [503, 503, 503]
    const pieces = file.stream({ signal })[Symbol.asyncIterator]()
    await pieces.next()
    let start
    const rest = (async () => {
      while (!(await pieces.next()).done) {
        if (where !== 'pause' && start === undefined) {
          start = performance.now()
          stop.abort(reason)
        }
      }
    })()
    if (where === 'pause') {
      await until(() => asked().length === 3)
      start = performance.now()
      stop.abort(reason)
    }
    await assert.rejects(rest, (error) => error === reason)
    assert.ok(performance.now() - start < 500)
    await until(() => asked()[0].closed)
    files[path] = { bytes: large }
    assert.ok((await drain(file.stream({}))).equals(large))
  }
  const stopped = { signal: AbortSignal.abort(reason) }
  const folder = await openSource(`${server.url}/`, {})
  files['/plain.bin'] = { bytes }
  const file = await folder.open('plain.bin', 'stream')
  await assert.rejects(drain(file.stream(stopped)), (error) => error === reason)
  await file.close()
})

test('an abort ends the stream of a file that is here before its next piece', async () => {
  const large = numbers(10_000_000)
  for (const last of [1, 3]) {
    const file = await (await openSource({ 'a.bin': large }, {})).open('a.bin', 'stream')
    const stop = new AbortController()
    let count = 0
    const load = async () => {
      for await (const _ of file.stream({ signal: stop.signal })) if (++count === last) stop.abort()
    }
    await assert.rejects(load(), { name: 'AbortError' })
    assert.equal(count, last)
  }
})

test('a stream that waits for the server ends with the signal of the stream alone', async () => {
  // Of 10 bytes that are promised, the server sends four and keeps silent.
  const { createServer } = await import('node:http')
  const silent = createServer((_, response) => {
    response.writeHead(200, { 'content-length': 10 })
    response.write('four')
  })
  await new Promise((ready) => silent.listen(0, '127.0.0.1', ready))
  try {
    const folder = await openSource(`http://127.0.0.1:${silent.address().port}/`, {})
    const file = await folder.open('a.bin', 'stream')
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 50)
    await assert.rejects(drain(file.stream({ signal: stop.signal })), { name: 'AbortError' })
  } finally {
    silent.close()
    silent.closeAllConnections()
  }
})

test('who leaves a stream lets go of the connection', async () => {
  const { file, asked } = await opened('/left.bin', { bytes: new Uint8Array(32_000_000) })
  for await (const _ of file.stream({})) break
  await until(() => asked()[0].closed)
})

test('of many files that wait, the oldest give up their connections and go on later', async () => {
  const large = numbers(16_000_000)
  const paths = Array.from({ length: 8 }, (_, i) => `/shard-${i}.bin`)
  const all = await Promise.all(paths.map((path) => opened(path, { bytes: large })))
  for (const { file } of all) await file.read(0, 1000)
  const connected = () => all.filter(({ asked }) => !asked().at(-1).closed).length
  await until(() => connected() === 4)
  for (const { file } of all) assert.ok((await drain(file.stream({}))).equals(large))
  const again = all.flatMap(({ asked }) => asked().slice(1))
  assert.ok(again.length >= 4 && again.every(({ range }) => /^bytes=\d+-15999999$/.test(range)))
})
