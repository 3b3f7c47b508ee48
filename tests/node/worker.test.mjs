// The messages of lokahi/worker, between two ends of a channel: what crosses, and how it comes out.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Model, init } from 'lokahi'
import { LokahiError, startWorker, transfer } from 'lokahi/worker'
import { serve } from 'lokahi/worker-scope'

const base = './www/public/places/base'
const folder = (name) => `./www/public/places/adapters/${name}`

async function start(options) {
  const { port1, port2 } = new MessageChannel()
  serve(port2)
  return startWorker({ device: 'cpu', worker: port1, ...options })
}

async function text(pieces) {
  let all = ''
  for await (const piece of pieces) all += piece
  return all
}

/** An error with this code, whose message names the place. */
const refused = (code, place) => (error) => {
  assert.ok(error instanceof LokahiError, String(error))
  assert.equal(error.code, code)
  assert.match(error.message, place)
  return true
}

test('smoke', async () => {
  const lokahi = await start()
  console.log(lokahi)
  const model = await lokahi.Model.fromPretrained(base, { onProgress: (p) => console.log(p.status, p.file) })
  console.log(model.config, model.adapters, model.merged, model.parameters)
  const a = await model.loadAdapter(folder('fi-lora'), { name: 'fi' })
  console.log(a, model.adapters)
  await model.setAdapters(['fi'])
  console.log(await text(model.generate('San ')))
  console.log(await model.tokenizer.encode('San '), (await model.forward([1, 21])).logits.length)
  await model.dispose()
  assert.throws(() => model.adapters, refused('Disposed', /model/))
  lokahi.terminate()
})
