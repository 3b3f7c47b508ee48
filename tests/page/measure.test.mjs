// "Measure" in a real Chromium, with WebGPU and without: its self-test against the library in Node, the
// plan against what was measured, the address, the keyboard, both languages, axe.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { Product, init } from 'lokahi'
import { choose, grave, near, open, overflow, visit as visitPage } from './browser.mjs'

const METHODS = ['lora', 'loha', 'lokr']
const BARS = ['base', ...METHODS.flatMap((method) => [`${method}-structured`, `${method}-merged`])]
const WAIT = { timeout: 120_000 }

before(() => init({ device: 'cpu' }))

const said = async (locator) => (await locator.innerText()).replace(/[\u202f\s]+/g, ' ').trim()
/** `1.6·10⁻⁷` as a number. */
const number = (text) => {
  const [, digits, power] = text.match(/^([\d.]+)(?:·10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?$/) ?? []
  const exponent = [...(power ?? '')]
    .map((c) => '⁰¹²³⁴⁵⁶⁷⁸⁹'.indexOf(c))
    .map((c) => (c < 0 ? '-' : c))
  return Number(digits) * 10 ** Number(exponent.join('') || 0)
}

async function measured(part, label = 'Measure') {
  await part.getByRole('button', { name: label, exact: true }).click()
  await part.getByTestId('measured').waitFor(WAIT)
}

/** The numbers that the panel gives away. */
async function rows(page, part) {
  await part.getByRole('button', { name: 'Numbers, figure, code' }).click()
  const download = page.waitForEvent('download')
  await part.getByRole('button', { name: 'JSON' }).click()
  return JSON.parse(await readFile(await (await download).path(), 'utf8')).rows
}

for (const webgpu of [true, false])
  describe(webgpu ? 'with WebGPU' : 'without WebGPU', () => {
    let place
    before(async () => (place = await open({ webgpu })))
    after(() => place?.close())

    async function visit(hash = '#v=1', options = {}) {
      const visited = await visitPage(place, hash, { reducedMotion: 'reduce', ...options })
      await near(visited.page, 'measure')
      return { ...visited, part: visited.page.locator('[data-part=measure]') }
    }

    test('the numbers are those of the library, and the plan is told as it is', async () => {
      const set = { shape: '192x576', dtype: 'Q4_1', rows: 16, rank: 4, factor: 8 }
      const hash = Object.entries(set).map(([key, value]) => `&measure.${key}=${value}`)
      const { page, part, complaints, close } = await visit(`#v=1${hash.join('')}`)
      await measured(part)
      const backends = webgpu ? ['cpu', 'webgpu'] : ['cpu']
      assert.equal(await part.locator('figure').count(), backends.length)
      if (!webgpu)
        assert.match(await said(part), /WebGPU was not measured\. .*(no WebGPU|no adapter)/)

      const all = await rows(page, part)
      assert.equal(all.length, backends.length * BARS.length)
      for (const row of all) {
        for (const [key, value] of Object.entries(set)) assert.equal(row[key], value)
        assert.ok(row['fastest ms'] > 0)
        assert.ok(row['fastest ms'] <= row['median ms'] && row['median ms'] <= row['slowest ms'])
      }
      const [out, inputs] = [192, 576]
      const x = Float32Array.from(
        { length: 16 * inputs },
        (_, i) => ((i * 7919) % 2003) / 1001.5 - 1,
      )
      for (const method of METHODS) {
        const product = await Product.create({ ...set, shape: [out, inputs], method })
        const offs = [
          await product.deviation('structured', x),
          await product.deviation('merged', x),
        ]
        product.dispose()
        const cells = await part
          .locator(`[data-testid=self-test] [data-method=${method}] td`)
          .allInnerTexts()
        const [cpu, gpu, between] = cells.map(number)
        assert.ok(Math.abs(cpu / Math.max(...offs) - 1) < 0.06, `${method}: ${cpu}, ${offs}`)
        if (webgpu) {
          assert.ok(gpu > 0 && gpu < 1e-5, `${method}: WebGPU off by ${gpu}`)
          assert.ok(between > 0 && between < 2e-4, `${method}: ${between} between the two`)
        }
        for (const backend of backends) {
          const [structured, merged] = ['structured', 'merged'].map((form) =>
            all.find((r) => r.backend === backend && r.method === method && r.form === form),
          )
          const chosen = merged['estimated ms'] < 0.92 * structured['estimated ms']
          assert.deepEqual(
            [structured, merged].map((row) => row['chosen by the plan']),
            [!chosen, chosen],
          )
          const row = part.locator(`[data-testid=plan-${backend}] [data-method=${method}]`)
          const choice = chosen ? 'merged' : 'structured'
          assert.equal(await row.getAttribute('data-choice'), choice)
          const bar = part.locator(`[data-backend=${backend}] [data-bar=${method}-${choice}]`)
          assert.match(await bar.textContent(), /the plan/)
          const best = merged['median ms'] < structured['median ms'] ? 'merged' : 'structured'
          assert.equal(await row.locator('td').nth(3).innerText(), best)
        }
      }
      assert.match(
        await said(part.locator('p[role=status]')),
        /^Measured\. CPU, one thread: the weight/,
      )
      const svg = page.waitForEvent('download')
      await part.getByRole('button', { name: 'SVG' }).click()
      const drawn = await readFile(await (await svg).path(), 'utf8')
      for (const name of await part.locator('figcaption').allInnerTexts())
        assert.ok(drawn.includes(name), `the figure has ${name}`)
      assert.deepEqual(complaints, [])
      await close()
    })

    test('the address holds every control, and says what was measured before', async () => {
      const { page, part, complaints, close } = await visit()
      await choose(page, '192 × 576'.replaceAll(' ', '\u202f'))
      await choose(page, 'F16')
      await choose(page, '128 (a long prompt)')
      await part.getByRole('radio', { name: '8', exact: true }).check()
      await part.getByRole('slider').fill('5')
      const all =
        'measure.shape=192x576&measure.dtype=F16&measure.rows=128&measure.rank=5&measure.factor=8'
      await page.waitForFunction((all) => location.hash.includes(all), all)
      await page.reload()
      await near(page, 'measure')
      const checked = await part.getByRole('radio', { checked: true }).count()
      assert.equal(checked, 4)
      for (const name of ['F16', '128 (a long prompt)', '8'])
        assert.ok(await part.getByRole('radio', { name, exact: true }).isChecked(), name)
      assert.equal(await part.getByRole('slider').inputValue(), '5')
      if (!webgpu) {
        await measured(part)
        assert.match(
          await said(part.locator('.caption')),
          /^192 × 576, F16, 128 tokens at once, r = 5$/,
        )
        await part.getByRole('slider').fill('6')
        assert.match(await said(part.locator('.caption')), /r = 5 Measured with other settings/)
      }
      assert.deepEqual(complaints, [])
      await close()
    })
  })

test('a device that is lost does not end the times of the other, and comes back', async (t) => {
  const place = await open({ webgpu: true })
  t.after(() => place.close())
  const { page, complaints, close } = await visitPage(place, '#v=1&measure.shape=192x576')
  await near(page, 'measure')
  const part = page.locator('[data-part=measure]')
  let workers = 0
  const lost = new Promise((resolve, reject) =>
    page.on('worker', (worker) => {
      // The first is the CPU's.
      if (++workers !== 2) return
      const loseIt = () => {
        const open = GPUAdapter.prototype.requestDevice
        GPUAdapter.prototype.requestDevice = async function (...given) {
          const device = await open.apply(this, given)
          setTimeout(() => device.destroy(), 300)
          return device
        }
      }
      worker.evaluate(loseIt).then(resolve, reject)
    }),
  )
  await measured(part)
  await lost
  assert.equal(await part.locator('figure').count(), 1)
  assert.match(await said(part), /WebGPU was not measured/)
  await part.getByRole('button', { name: 'Measure again' }).click()
  await part.locator('[data-backend=webgpu]').waitFor(WAIT)
  assert.equal(workers, 3)
  assert.deepEqual(complaints, [])
  await close()
})

describe('for everyone', () => {
  let place
  before(async () => (place = await open({ webgpu: false })))
  after(() => place?.close())

  async function visit(hash = '#v=1', options = {}) {
    const visited = await visitPage(place, hash, { reducedMotion: 'reduce', ...options })
    await near(visited.page, 'measure')
    return { ...visited, part: visited.page.locator('[data-part=measure]') }
  }

  test('with keys alone: chosen, begun, stopped, begun again', async () => {
    const { page, part, complaints, close } = await visit(
      '#v=1&measure.shape=2048x2048&measure.rows=128',
    )
    await part.getByRole('radio', { name: 'F32' }).focus()
    await page.keyboard.press('ArrowRight')
    assert.ok(await part.getByRole('radio', { name: 'F16' }).isChecked())
    const button = part.locator('.start button')
    while (!(await button.evaluate((button) => button === document.activeElement)))
      await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await part.getByRole('button', { name: 'Stop' }).waitFor()
    assert.ok(await part.getByRole('progressbar').isVisible())
    // The button that began it.
    await page.keyboard.press('Enter')
    await part.getByText('Stopped.').first().waitFor(WAIT)
    assert.equal(await part.getByTestId('measured').count(), 0)
    await choose(page, '1 (writing)')
    await button.focus()
    await page.keyboard.press('Space')
    await part.getByTestId('measured').waitFor(WAIT)
    assert.ok(await button.evaluate((button) => button === document.activeElement))
    assert.deepEqual(complaints, [])
    await close()
  })

  test('the page answers while it is measured', async () => {
    const { page, part, close } = await visit('#v=1&measure.shape=1536x576&measure.rows=128')
    await page.evaluate(() => {
      window.longest = 0
      let last = performance.now()
      const frame = (now) => {
        window.longest = Math.max(window.longest, now - last)
        last = now
        requestAnimationFrame(frame)
      }
      requestAnimationFrame(frame)
    })
    await part.getByRole('button', { name: 'Measure', exact: true }).click()
    await part.getByRole('progressbar').waitFor()
    await page.waitForTimeout(500)
    const longest = await page.evaluate(() => window.longest)
    // Two cores may be busy with other things; a product on the page itself would take seconds.
    assert.ok(longest < 400, `a frame took ${longest} ms`)
    await close()
  })

  test('no English is left in Korean', async () => {
    const { part, complaints, close } = await visit('#v=1&lang=ko&measure.dtype=Q8_0')
    await measured(part, '재기')
    for (const summary of await part.locator('summary').all()) await summary.click()
    const english = await part.locator('[lang=en]').allInnerTexts()
    assert.equal(english.length, 1, 'the reason of the browser')
    const text = (await said(part)).replace(english[0], '')
    const known = 'LoRA|LoHa|LoKr|WebGPU|structured|merged|factor'
    assert.doesNotMatch(text.replace(new RegExp(known, 'g'), ''), /[A-Za-z]{4,}/)
    assert.deepEqual(complaints, [])
    await close()
  })

  for (const colorScheme of ['light', 'dark'])
    test(`axe and a phone, ${colorScheme}`, async () => {
      const { page, part, complaints, close } = await visit('#v=1&measure.rows=16', {
        colorScheme,
        viewport: { width: 360, height: 780 },
      })
      await measured(part)
      assert.ok((await overflow(page)) <= 0)
      assert.deepEqual(await grave(page), [])
      assert.deepEqual(complaints, [])
      await close()
    })
})
