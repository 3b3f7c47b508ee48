// The package in a real page that does not use it well.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { serve } from '../../scripts/serve.mjs'
import { consumer, expected, places } from './consumers.mjs'
import { closeBrowser, onPage } from './pages.mjs'

let server
before(async () => {
  const folder = consumer('html')
  places(folder)
  server = await serve(folder, { port: 0 })
})
after(async () => {
  await closeBrowser()
  await server?.close()
})

/** Runs a function in a page where nobody called `init`; or `direct` with the page. */
const inPage = (use, direct = (page) => page.evaluate(use)) =>
  onPage(`${server.url}?device=none`, async ({ page }) => {
    await page.waitForFunction(() => window.lokahi)
    await page.evaluate(() => {
      window.text = async (pieces) => {
        let all = ''
        for await (const piece of pieces) all += piece
        return all
      }
      window.codeOf = (promise) =>
        promise.then(
          () => 'none',
          ({ code, name }) => code ?? name,
        )
      window.load = async (device) => {
        const model = await lokahi.Model.fromPretrained('./places/base/', { device })
        await model.loadAdapter('./places/fi-lokr/', { name: 'fi' })
        model.setAdapters(['fi'])
        return model
      }
    })
    return direct(page)
  })

test('a call before init is refused by name', async () => {
  const codes = await inPage(async () => [
    await codeOf(lokahi.Model.fromPretrained('./places/base/')),
    await codeOf(lokahi.Adapter.load('./places/fi-lokr/')),
    await codeOf(lokahi.combine([])),
  ])
  assert.deepEqual(codes, ['NotInitialised', 'NotInitialised', 'NotInitialised'])
})

test('init many times at once: one wasm, one device, the last call decides', async () => {
  const { backends, backend, fetched, devices } = await inPage(async () => {
    let devices = 0
    const open = GPUAdapter.prototype.requestDevice
    GPUAdapter.prototype.requestDevice = function (...given) {
      devices++
      return open.apply(this, given)
    }
    const all = await Promise.all(
      Array.from({ length: 10 }, (_, i) => lokahi.init({ device: i % 2 ? 'cpu' : 'webgpu' })),
    )
    const fetched = performance
      .getEntriesByType('resource')
      .filter(({ name }) => name.endsWith('lokahi_bg.wasm')).length
    const { backend } = await load()
    return { backends: all.map(({ backend }) => backend), fetched, devices, backend }
  })
  assert.deepEqual(
    backends,
    Array.from({ length: 10 }, (_, i) => (i % 2 ? 'cpu' : 'webgpu')),
  )
  assert.equal(backend, 'cpu', 'the last call decides')
  assert.deepEqual({ fetched, devices }, { fetched: 1, devices: 1 })
})

test('two engines in one page, writing at once', async () => {
  const texts = await inPage(async () => {
    await lokahi.init({ device: 'webgpu' })
    const gpu = await load()
    await lokahi.init({ device: 'cpu' })
    const cpu = await load()
    const write = (model) => text(model.generate('San '))
    const texts = await Promise.all([write(gpu), write(cpu), write(gpu), write(cpu)])
    return [gpu.backend, cpu.backend, ...texts]
  })
  const rest = expected.text.slice(4)
  assert.deepEqual(texts, ['webgpu', 'cpu', rest, rest, rest, rest])
})

for (const device of ['cpu', 'webgpu']) {
  test(`${device}: dispose while a text is written, another model goes on`, async () => {
    const said = await inPage(
      Function(`return (async () => {
        await lokahi.init({ device: '${device}' })
        const [model, other] = [await load(), await load()]
        const pieces = model.generate('', { temperature: 1, seed: 1 })
        await pieces.next()
        const next = codeOf(pieces.next().then(() => pieces.next()))
        model.dispose()
        return [await next, await codeOf(model.forward([1])), await text(other.generate('San '))]
      })()`),
    )
    assert.deepEqual(said, ['Disposed', 'Disposed', expected.text.slice(4)])
  })
}

test('memory that the device refuses is a named error, and all goes on', async () => {
  const told = await inPage(async () => {
    await lokahi.init({ device: 'webgpu' })
    const model = await load()
    const wanted = await text(model.generate('San '))
    // What a browser does: an event, and a buffer that is no use.
    let refused = Infinity
    const { createBuffer } = GPUDevice.prototype
    GPUDevice.prototype.createBuffer = function (asked) {
      if (asked.size < refused) return createBuffer.call(this, asked)
      this.pushErrorScope('validation')
      const buffer = createBuffer.call(this, { ...asked, size: this.limits.maxBufferSize + 16 })
      this.popErrorScope()
      const error = new GPUOutOfMemoryError('')
      this.dispatchEvent(new GPUUncapturedErrorEvent('uncapturederror', { error }))
      return buffer
    }
    const message = (promise) =>
      promise.then(
        () => 'none',
        ({ code, message }) => `${code} ${message}`,
      )
    /** With the buffers of so many bytes and more refused; then as it was. */
    const without = async (bytes, use) => {
      refused = bytes
      const said = await message(use())
      const after = await codeOf(text(model.generate('San ')))
      refused = Infinity
      await model.recover()
      const same = (await text(model.generate('San '))) === wanted
      return [said, after, same, model.adapters.join()]
    }
    const folder = './places/fi-lokr/'
    const said = {
      load: await without(10_000, () => lokahi.Model.fromPretrained('./places/base/')),
      adapter: await without(10_000, () => model.loadAdapter(folder, { name: 'other' })),
      text: await without(0, () => text(model.generate('San '))),
      logits: await without(0, () => model.forward([1])),
      merge: await without(10_000, async () => {
        model.mergeAdapters()
        await model.forward([1])
      }),
    }
    return { ...said, next: (await load()).adapters.join() }
  })
  const reason = 'Device GPU: it has no more memory'
  const row = [reason, 'Device', true, 'fi']
  const all = { load: row, adapter: row, text: row, logits: row, merge: row }
  assert.deepEqual(told, { ...all, next: 'fi' })
})

for (const device of ['cpu', 'webgpu']) {
  test(`${device}: a model that is larger than all memory is refused by name`, async () => {
    const said = await inPage(undefined, (page) =>
      page.evaluate(async (device) => {
        await lokahi.init({ device })
        const [hidden, vocabulary] = [4096, 400_000]
        const layer = 'model.layers.0'
        const shapes = {
          'model.embed_tokens.weight': [vocabulary, hidden],
          'model.norm.weight': [hidden],
          [`${layer}.input_layernorm.weight`]: [hidden],
          [`${layer}.post_attention_layernorm.weight`]: [hidden],
          ...Object.fromEntries(
            ['self_attn.q', 'self_attn.k', 'self_attn.v', 'self_attn.o'].map((name) => [
              `${layer}.${name}_proj.weight`,
              [hidden, hidden],
            ]),
          ),
          [`${layer}.mlp.gate_proj.weight`]: [hidden, hidden],
          [`${layer}.mlp.up_proj.weight`]: [hidden, hidden],
          [`${layer}.mlp.down_proj.weight`]: [hidden, hidden],
        }
        let at = 0
        const header = {}
        for (const [name, shape] of Object.entries(shapes)) {
          const end = at + 4 * shape.reduce((product, length) => product * length)
          header[name] = { dtype: 'F32', shape, data_offsets: [at, end] }
          at = end
        }
        // Seven gigabytes, of which the browser holds one piece.
        const piece = new Blob([new Uint8Array(1 << 24)])
        const pieces = Array.from({ length: Math.ceil(at / (1 << 24)) }, () => piece)
        const text = new TextEncoder().encode(JSON.stringify(header))
        const length = new BigUint64Array([BigInt(text.length)])
        const config = {
          architectures: ['LlamaForCausalLM'],
          model_type: 'llama',
          hidden_size: hidden,
          intermediate_size: hidden,
          num_hidden_layers: 1,
          num_attention_heads: 32,
          num_key_value_heads: 32,
          vocab_size: vocabulary,
          max_position_embeddings: 128,
          rms_norm_eps: 1e-6,
          rope_theta: 10_000,
          hidden_act: 'silu',
          tie_word_embeddings: true,
          bos_token_id: 1,
          eos_token_id: 2,
          torch_dtype: 'float32',
        }
        const files = [
          new File([JSON.stringify(config)], 'config.json'),
          new File([length, text, new Blob(pieces).slice(0, at)], 'model.safetensors'),
        ]
        const said = await lokahi.Model.fromPretrained(files).catch(({ code, message }) => [
          code,
          message,
        ])
        const model = await load()
        return [...said, await window.text(model.generate('San '))]
      }, device),
    )
    const [code, message, rest] = said
    assert.equal(code, 'Device', message)
    assert.match(message, /bytes|memory/)
    assert.equal(rest, expected.text.slice(4))
  })
}

test('wasm that differs from its hash, from an address; then the right one', async () => {
  const [code, message, backend] = await inPage(async () => {
    const address = './node_modules/lokahi/dist/'
    const integrity = await (await fetch(`${address}integrity.json`)).json()
    const wasm = `${address}lokahi_tools_bg.wasm`
    const error = await lokahi.init({ device: 'cpu', wasm, integrity }).catch((error) => error)
    const { backend } = await lokahi.init({ device: 'cpu', integrity })
    return [error.code, error.message, backend]
  })
  assert.equal(code, 'IntegrityMismatch')
  assert.match(message, /^lokahi_bg\.wasm: expected sha384-/)
  assert.equal(backend, 'cpu')
})

test('a web page in place of the wasm is told with what helps', async () => {
  const [code, message] = await inPage(async () => {
    const error = await lokahi.init({ wasm: './index.html' }).catch((error) => error)
    return [error.code, error.message]
  })
  assert.equal(code, 'WasmNotFound')
  assert.match(message, /index\.html.*optimizeDeps/)
})

for (const device of ['cpu', 'webgpu']) {
  test(`${device}: loads and texts, aborted in any order`, async () => {
    const { codes, reasons, early, rest, buffers } = await inPage(undefined, async (page) => {
      // A folder each where one file never comes: an abort alone ends its load.
      await page.route(/\/without-/, (route) => {
        const [, without, file] = route
          .request()
          .url()
          .match(/without-([^/]+)\/([^/]+)$/)
        if (file === without) return
        return route.continue({ url: `${server.url}places/base/${file}` })
      })
      return page.evaluate(async (device) => {
        await lokahi.init({ device })
        const model = await load()
        // The first text takes what all of them share.
        await text(model.generate('San '))
        const { buffers } = model.memory
        const files = ['config.json', 'model.safetensors', 'tokenizer.json']
        const begin = async (i, signal) => {
          if (i < 3) return lokahi.Model.fromPretrained(`./without-${files[i]}/`, { signal })
          const pieces = model.generateIds([1], { temperature: 1, seed: 1, signal })
          await pieces.next()
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          return pieces.next()
        }
        const told = { codes: [], reasons: 0, early: 0 }
        const orders = ['012345', '543210', '304152', '251403']
        for (const order of orders) {
          const stops = [...order].map(() => new AbortController())
          const over = new Set()
          const all = stops.map(({ signal }, i) => begin(i, signal).finally(() => over.add(i)))
          const ends = Promise.allSettled(all)
          // Meanwhile some that nobody stops.
          const goOn = [text(model.generate('San ')), load(device).then((model) => model.dispose())]
          await new Promise((resolve) => setTimeout(resolve, 200))
          for (const i of [...order].map(Number)) {
            if (over.has(i)) told.early++
            // Every second one has a reason of its own.
            stops[i].abort(i % 2 ? new Error(`reason ${i}`) : undefined)
            await new Promise((resolve) => setTimeout(resolve, i % 3))
          }
          for (const [i, { reason }] of (await ends).entries()) {
            told.codes.push(reason?.name)
            if (reason === stops[i].signal.reason) told.reasons++
          }
          told.rest = await goOn[0]
          await goOn[1]
        }
        return { ...told, buffers: model.memory.buffers - buffers }
      }, device)
    })
    assert.equal(early, 0, 'over before it was aborted')
    const names = ['AbortError', 'Error', 'AbortError', 'Error', 'AbortError', 'Error']
    assert.deepEqual(codes, Array(4).fill(names).flat())
    assert.equal(reasons, 24)
    assert.equal(rest, expected.text.slice(4))
    assert.equal(buffers, 0)
  })

  test(`${device}: ten thousand calls, and nothing grows`, async (t) => {
    const [first, last] = await inPage(undefined, async (page) => {
      const devtools = await page.context().newCDPSession(page)
      const count = async () => {
        const collect = () => devtools.send('HeapProfiler.collectGarbage')
        await collect()
        const others = await page.evaluate(() => window.counts())
        await collect()
        return { ...others, heap: (await devtools.send('Runtime.getHeapUsage')).usedSize }
      }
      await page.evaluate(async (device) => {
        // Every buffer of the GPU that is not collected; and the memory of the wasm.
        const buffers = new Set()
        const { createBuffer } = GPUDevice.prototype
        GPUDevice.prototype.createBuffer = function (...given) {
          const buffer = createBuffer.apply(this, given)
          buffers.add(new WeakRef(buffer))
          return buffer
        }
        let memory
        const { instantiateStreaming } = WebAssembly
        WebAssembly.instantiateStreaming = async (...given) => {
          const made = await instantiateStreaming(...given)
          memory ??= made.instance.exports.memory
          return made
        }
        await lokahi.init({ device })
        const model = await load()
        await model.loadAdapter('./places/fi-lokr/', { name: 'other' })
        const call = async (i) => {
          // A software GPU takes 100 ms for a text: nine in ten are left out.
          const left = device === 'webgpu' && i % 100 > 9
          switch (left && [0, 1, 2, 3, 5].includes(i % 10) ? 9 : i % 10) {
            case 0:
              return model.forward([1, 5 + (i % 50)])
            case 1:
              return text(model.generate('San ', { maxTokens: 1, seed: i }))
            case 2:
              for await (const _ of model.generate('', { temperature: 1, seed: i })) break
              return
            case 3:
              for await (const _ of model.compare('K', [{}, { fi: 1 }], { maxTokens: 1 }));
              return
            case 4:
              if ((await codeOf(model.forward([1e6]))) === 'none') throw new Error('not refused')
              return
            case 5:
              model.mergeAdapters()
              return model.unmergeAdapters()
            case 6:
              if ((await codeOf((async () => model.setAdapters(['none']))())) === 'none') {
                throw new Error('not refused')
              }
              return
            default:
              return model.setAdapters([i % 2 ? 'fi' : 'other'], [(i % 10) / 10])
          }
        }
        window.calls = async (from, to) => {
          for (let i = from; i < to; i++) await call(i)
        }
        window.counts = () => {
          for (const each of buffers) if (!each.deref()) buffers.delete(each)
          const { buffers: held, bytes } = model.memory
          return { live: buffers.size, held, bytes, wasm: memory.buffer.byteLength }
        }
      }, device)
      // In parts: Playwright waits half a minute for an answer.
      const calls = async (from, to) => {
        for (let at = from; at < to; at += 500) {
          await page.evaluate((at) => window.calls(at, at + 500), at)
        }
        return count()
      }
      // The engine compiles what runs often, which takes memory of its own.
      return [await calls(0, 3000), await calls(3000, 13_000)]
    })
    t.diagnostic(JSON.stringify({ first, last }))
    const { heap, ...others } = last
    assert.deepEqual({ heap: first.heap, ...others }, first)
    // What a call leaves behind would be an object at least; compiled code still grows a little.
    assert.ok(heap < first.heap + 10_000 * 25, `JS heap: ${first.heap}, then ${heap}`)
  })
}
