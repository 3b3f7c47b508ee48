// A tab that is hidden, frozen and shown again while texts are written in it.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { serve } from '../../scripts/serve.mjs'
import { buildWorker } from '../page/worker.mjs'
import { openTab } from './devtools.mjs'

let server
let tab
before(async () => {
  server = await serve(await buildWorker(), { port: 0 })
  tab = await openTab(`${server.url}through.html`)
  await until(() => window.far !== undefined)
  await tab.evaluate(() => {
    /** Begins to write names; `written` grows. */
    window.begin = (model, count) => {
      window.written = []
      window.over = (async () => {
        for (let seed = 0; seed < count; seed++) {
          const ids = []
          for await (const id of model.generateIds([1], { temperature: 1, seed })) ids.push(id)
          window.written.push(ids)
        }
      })()
    }
  })
})
after(async () => {
  await tab?.close()
  await server?.close()
})

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const written = () => tab.evaluate(() => window.written.length)
async function until(is, ...given) {
  for (const end = Date.now() + 60_000; Date.now() < end; await pause(20)) {
    if (await tab.evaluate(is, ...given)) return
  }
  assert.fail(`not within a minute: ${is}`)
}

for (const [device, count] of [
  ['cpu', 200],
  ['webgpu', 30],
]) {
  for (const isFar of [false, true]) {
    test(`${device}${isFar ? ', in a worker' : ''}: hidden, frozen and back`, async (t) => {
      await tab.evaluate(
        async (device, isFar) => {
          await near.init({ device })
          const lokahi = isFar ? await far.startWorker({ device }) : near
          window.model = await lokahi.Model.fromPretrained('./places/base/')
        },
        device,
        isFar,
      )
      const write = () => tab.evaluate((count) => window.begin(window.model, count), count)
      const all = async () => {
        await until((count) => window.written.length === count, count)
        return tab.evaluate(async () => (await window.over, window.written))
      }
      await write()
      const undisturbed = await all()

      await write()
      await until(() => window.written.length > 0)
      await tab.hide()
      await until(() => document.visibilityState === 'hidden')
      const before = await written()
      await until((before) => window.written.length > before + 2, before)
      const hidden = await written()
      await tab.freeze()
      await pause(500)
      const frozen = await written()
      await pause(1000)
      assert.equal(await written(), frozen, 'a frozen tab stands still')
      await tab.show()
      await until(() => document.visibilityState === 'visible')
      assert.deepEqual(await all(), undisturbed)
      assert.ok(frozen < count, 'over before it was shown again')
      t.diagnostic(JSON.stringify({ before, hidden, frozen, count }))
    })
  }
}
