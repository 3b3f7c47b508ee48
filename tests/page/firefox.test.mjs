// The built page in Firefox, with WebGPU and without: every part alive, its values those of the library, the
// address, the keyboard, both languages, axe, nothing said on the console, nothing asked of others.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Adapter, Model, init } from 'lokahi'
import { serve } from '../../scripts/serve.mjs'
import { inFirefox } from '../package/webdriver.mjs'
import { agree, computed } from './arithmetic.mjs'
import { source } from './lab/source.mjs'

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

let server
before(async () => {
  await init({ device: 'cpu' })
  server = await serve(fileURLToPath(new URL('../../www/dist', import.meta.url)), { port: 0 })
})
after(() => server?.close())

/** The twelve names of the page at its usual setting, from the library in Node. */
async function wanted(adapter) {
  const model = await Model.fromPretrained('./www/public/places/base/')
  if (adapter) {
    await model.loadAdapter(`./www/public/places/adapters/${adapter}/`, { name: adapter })
    model.setAdapters([adapter])
  }
  const all = []
  for (let i = 0; i < 12; i++) {
    let name = ''
    const options = { maxTokens: 32, temperature: 0.7, seed: 100 + i }
    for await (const letters of model.generate('', options)) name += letters
    all.push(name.trim())
  }
  model.dispose()
  return all
}

/** As the page writes large numbers. */
const grouped = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ' ')

/** What runs in the page: each is sent as its text, so none may use anything from here. */
const inPage = {
  names: async () => {
    const found = () => [...document.querySelectorAll('#names li')]
    const start = performance.now()
    while (
      found().length !== 12 ||
      found().some((li) => li.classList.contains('stale') || !li.querySelector('.name'))
    ) {
      if (performance.now() - start > 60_000) throw new Error('the names do not come to rest')
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return found().map((li) => li.querySelector('.name').textContent)
  },
  choose: (label) => {
    const radios = [...document.querySelectorAll('label')]
    const found = radios.find(({ textContent }) => textContent.trim() === label)
    if (!found) throw new Error(`nothing is called ${label}`)
    found.querySelector('input').click()
  },
  /** The first that is there, once it is. */
  text: async (selector) => {
    const start = performance.now()
    for (;;) {
      const found = document.querySelector(selector)
      if (found?.textContent.trim()) return found.textContent.replace(/[\u202f\s]+/g, ' ').trim()
      if (performance.now() - start > 60_000) throw new Error(`no ${selector}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  },
  /** What goes wrong from now on; kept in the document, as each call has a world of its own. */
  listen: () => {
    const root = document.documentElement
    root.dataset.said = ''
    for (const type of ['error', 'unhandledrejection', 'securitypolicyviolation'])
      addEventListener(type, ({ message, reason, blockedURI }) => {
        root.dataset.said += `${type}: ${message ?? reason ?? blockedURI}\n`
      })
  },
  said: () => document.documentElement.dataset.said,
  lines: (selector) =>
    [...document.querySelectorAll(selector)].map(({ textContent }) =>
      textContent.replace(/[\u202f\s]+/g, ' ').trim(),
    ),
  near: async (part) => {
    document.querySelector(`[data-part=${part}]`).scrollIntoView()
    const start = performance.now()
    while (!document.querySelector(`[data-part=${part}] h2`)) {
      if (performance.now() - start > 30_000) throw new Error(`${part} does not come`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  },
  click: (selector) => document.querySelector(selector).click(),
  focus: (selector) => document.querySelector(selector).focus(),
  count: (selector) => document.querySelectorAll(selector).length,
  attribute: (selector, name) => document.querySelector(selector).getAttribute(name),
  open: async (hash) => {
    location.hash = hash
    await new Promise((resolve) => setTimeout(resolve, 400))
    return location.hash
  },
  /** Other places than this page's that something was fetched from. */
  others: () =>
    performance
      .getEntriesByType('resource')
      .map(({ name }) => name)
      .filter((name) => !/^(data|blob):/.test(name) && new URL(name).origin !== location.origin),
  grave: async () => {
    const { violations } = await globalThis.axe.run()
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join('\n')}`)
  },
}

for (const webgpu of [true, false])
  test(`Firefox ${webgpu ? 'on WebGPU' : 'without WebGPU'}`, { timeout: 300_000 }, async (t) => {
    const more = { 'ui.prefersReducedMotion': 1 }
    await inFirefox({ webgpu, more }, `${server.url}#v=1&theme=light&lang=en`, async (firefox) => {
      t.diagnostic(firefox.version)
      const page = Object.fromEntries(
        Object.entries(inPage).map(([name, f]) => [name, (...given) => firefox.call(f, ...given)]),
      )

      await page.listen()

      await t.test('names: the base, two countries and methods', async () => {
        if (webgpu) await page.choose('WebGPU')
        assert.deepEqual(await page.names(), await wanted())
        for (const [country, method, adapter] of [
          ['Finland', 'LoRA', 'fi-lora'],
          ['Italy', 'LoKr', 'it-lokr'],
        ]) {
          await page.choose(country)
          await page.choose(method)
          await new Promise((resolve) => setTimeout(resolve, 100))
          assert.deepEqual(await page.names(), await wanted(adapter))
        }
        const device = await page.text('[data-testid=device]')
        assert.match(device, webgpu ? /^WebGPU/ : /^CPU/)
      })

      await t.test('what each method stores, and ranks that were measured', async () => {
        await page.text('.methods td, .methods dd, .methods p')
        const adapter = await Adapter.load('./www/public/places/adapters/it-lokr/')
        const { parameters } = adapter.modules.find(
          ({ name }) => name === 'model.layers.0.self_attn.q_proj',
        )
        const stored = await page.text('[data-part=methods]')
        assert.match(stored, new RegExp(grouped(parameters)))
        adapter.dispose()
      })

      await t.test('the products: a cell by its keys, and its arithmetic', async () => {
        await page.near('products')
        for (const method of ['lora', 'loha', 'lokr']) {
          const cell = `[data-testid=product-${method}]`
          await page.text(`${cell} [data-value]`)
          await page.focus(`${cell} [role=application]`)
          await firefox.press('ArrowDown', 'ArrowRight')
          const value = Number(await page.attribute(`${cell} [data-value]`, 'data-value'))
          const sides = (await page.text(`${cell} [data-value]`)).split('=')
          for (const side of sides.filter((side) => side.trim())) agree(computed(side), value)
          for (const line of await page.lines(`${cell} [translate=no] p.soft`)) {
            const [, sum, result] = line.split(/ = /)
            agree(computed(sum), computed(result))
          }
        }
      })

      await t.test('counts, the budget, and a file', async () => {
        await page.near('count')
        assert.match(
          await page.text('[data-part=count] .columns'),
          /8 192 numbers.*16 384 numbers.*1 280 numbers/,
        )
        await page.near('budget')
        const { settingsOf } = await source('../budget/sweep')
        const swept = settingsOf('it')
        assert.equal(await page.count('[data-part=budget] [data-point]'), swept.length)
        const means = await page.lines('[data-part=budget] details tbody td:last-child')
        assert.deepEqual(
          means,
          swept.map(({ mean }) => mean.toFixed(4)),
        )
        await page.near('open')
        await page.click('[data-part=open] ul.plain button')
        const opened = await page.text('[data-testid=opened]')
        const adapter = await Adapter.load('./www/public/places/adapters/fi-lora/')
        const { modules, parameters } = adapter
        assert.match(opened, new RegExp(`${modules.length}.*${grouped(parameters)}`))
        adapter.dispose()
      })

      await t.test('measured on this device', async () => {
        await page.near('measure')
        await page.click('[data-part=measure] .start button')
        await page.text('[data-testid=measured]')
        const cells = await page.text('[data-testid=self-test]')
        assert.match(cells, /10⁻[⁶⁷]/)
        assert.equal(await page.count('[data-part=measure] figure'), webgpu ? 2 : 1)
      })

      await t.test('the address, the keyboard, Korean, axe in both themes', async () => {
        const all =
          '#v=1&country=kr&method=loha&strength=0.5&seed=9&start=Ka&weight=model.layers.1.mlp.up_proj&lang=ko' +
          '&theme=dark&lab.out=768&lab.mode=budget&lab.only=lora&open.search=q_proj&measure.rows=16'
        const got = new URLSearchParams((await page.open(all)).slice(1))
        assert.deepEqual(
          Object.fromEntries(got),
          Object.fromEntries(new URLSearchParams(all.slice(1))),
        )
        await page.names()
        assert.equal(await firefox.evaluate('return document.documentElement.lang'), 'ko')
        assert.match(await page.text('h1'), /[가-힣]/)
        await page.focus('.skip')
        await firefox.press('Tab')
        assert.notEqual(await firefox.evaluate('return document.activeElement.tagName'), 'BODY')
        await firefox.evaluate(await readFile(axe, 'utf8'))
        assert.deepEqual(await page.grave(), [])
        await page.open('#v=1&country=kr&theme=light&lang=en')
        await page.names()
        assert.deepEqual(await page.grave(), [])
      })

      assert.deepEqual(await page.others(), [])
      assert.equal(await page.said(), '')
      // Firefox prints its own troubles too.
      const printed = firefox.printed().split('\n')
      assert.deepEqual(
        printed.filter((line) => line.includes(`JavaScript error: ${server.url}`)),
        [],
      )
    })
  })
