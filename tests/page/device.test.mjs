// A device that is lost while a model runs on it.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openPackage } from './package.mjs'

let opened
before(async () => (opened = await openPackage({ webgpu: true })))
after(() => opened.close())

test('a lost device is named, and the model goes on on another without a request', async () => {
  const { page } = opened
  await page.evaluate(async () => {
    const { init, Model } = await window.lokahi
    await init({ device: 'webgpu' })
    const model = await Model.fromPretrained(new URL('/places/base/', location.href))
    const adapter = (name) => new URL(`/places/adapters/${name}/`, location.href)
    await model.loadAdapter(adapter('fi-loha'), { name: 'fi' })
    await model.loadAdapter(adapter('it-lora'), { name: 'it' })
    await model.loadAdapter(adapter('kr-lokr'), { name: 'kr' })
    model.deleteAdapter('kr')
    model.setAdapters(['fi', 'it'], [0.75, 0.5])
    window.model = model
  })
  const forward = () =>
    page.evaluate(async () => [...(await window.model.forward([1, 5, 9])).logits])
  const wanted = await forward()

  const requests = []
  page.on('request', (request) => requests.push(request.url()))
  const lost = await page.evaluate(async () => {
    const { model } = window
    const code = (error) => `${error.name} ${error.code}`
    const during = await (async () => {
      for await (const id of model.generateIds([1, 5, 9], { maxTokens: 200 })) {
        if (window.devices.at(-1).destroyed) continue
        window.devices.at(-1).destroyed = true
        window.devices.at(-1).destroy()
        void id
      }
    })().then(() => 'no error', code)
    const after = await model.forward([1]).then(() => 'no error', code)
    return [during, after]
  })
  assert.deepEqual(lost, ['LokahiError DeviceLost', 'LokahiError DeviceLost'])

  await page.evaluate(() => window.model.recover())
  assert.deepEqual(await forward(), wanted)
  assert.deepEqual(await page.evaluate(() => window.model.adapters), ['fi', 'it'])
  assert.equal(await page.evaluate(() => window.devices.length), 2)

  // While merged, too; and a model that has lost nothing stays as it is.
  const again = await page.evaluate(async () => {
    const { model } = window
    await model.recover()
    model.mergeAdapters()
    const before = [...(await model.forward([1, 5, 9])).logits]
    window.devices.at(-1).destroy()
    const lost = await model.forward([1]).then(
      () => 'no error',
      (error) => error.code,
    )
    await model.recover()
    const equal = (await model.forward([1, 5, 9])).logits.every((x, i) => x === before[i])
    return { lost, equal, merged: model.merged, devices: window.devices.length }
  })
  assert.deepEqual(again, { lost: 'DeviceLost', equal: true, merged: true, devices: 3 })
  assert.deepEqual(requests, [])
  await page.evaluate(() => window.model.dispose())
})
