// The page in a real Chromium, with WebGPU and without: what a visitor does, and what must hold meanwhile.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { choose, drawn, grave, names, open, overflow, settled, visit } from './browser.mjs'

for (const webgpu of [true, false])
  describe(webgpu ? 'with WebGPU' : 'without WebGPU', () => {
    let place
    before(async () => (place = await open({ webgpu })))
    after(() => place?.close())

    test('names appear, and a country, a method and a strength change them', async () => {
      const { page, complaints, close } = await visit(place)
      const english = await names(page)
      assert.equal(english.filter((name) => /^\p{Lu}/u.test(name)).length, 12, english.join(', '))

      await choose(page, 'Finland')
      await settled(page)
      await choose(page, 'LoHa')
      await settled(page)
      const finnish = await names(page)
      assert.notDeepEqual(finnish, english)
      await page.getByText(/^71\s680 numbers did that$/).waitFor()
      assert.deepEqual(
        await page.locator('#names .plain').allTextContents().then(stripped),
        english,
      )

      const strength = page.getByRole('slider', { name: 'Strength' })
      await strength.focus()
      await page.keyboard.press('Home')
      await settled(page)
      assert.deepEqual(await names(page), english, 'strength 0 is the model itself')
      await page.keyboard.press('End')
      await settled(page)
      assert.equal(await strength.inputValue(), '1.5')
      const beyond = await names(page)
      assert.notDeepEqual(beyond, finnish)
      await strength.dblclick({ position: { x: 3, y: 10 } })
      await settled(page)
      assert.deepEqual(await names(page), finnish, 'a double click goes back to strength 1')
      assert.deepEqual(complaints, [])
      await close()
    })

    test('merged and unmerged give the same names', async () => {
      const { page, complaints, close } = await visit(place, '#v=1&country=it&method=lora')
      const unmerged = await names(page)
      await page.getByRole('checkbox').check()
      await settled(page)
      assert.deepEqual(await names(page), unmerged)
      await choose(page, 'Poland')
      await settled(page)
      await page.getByRole('checkbox').uncheck()
      await choose(page, 'Italy')
      await settled(page)
      assert.deepEqual(await names(page), unmerged)
      assert.deepEqual(complaints, [])
      await close()
    })

    test('says which device computes, and lets it be chosen', async () => {
      const { page, complaints, close } = await visit(place)
      const device = page.getByTestId('device')
      if (webgpu) {
        await choose(page, 'WebGPU')
        await settled(page)
        await device.getByText(/^WebGPU$/).waitFor()
        assert.match(await device.textContent(), /swiftshader/i)
      } else {
        assert.match(await device.textContent(), /CPU.*WebGPU/s, 'the CPU, and why')
      }
      await choose(page, 'CPU')
      await device.getByText(/^CPU$/).waitFor()
      await settled(page)
      assert.deepEqual(complaints, [])
      await close()
    })

    test('the address keeps the whole setting', async () => {
      const { page, complaints, close } = await visit(place)
      await choose(page, 'Japan')
      await choose(page, 'LoRA')
      await choose(page, 'Layer 2, up, 320\u202f×\u202f128')
      const strength = page.getByRole('slider', { name: 'Strength' })
      await strength.focus()
      await page.keyboard.press('ArrowLeft')
      await page.getByRole('spinbutton', { name: 'Seed' }).fill('7')
      await page.getByRole('textbox', { name: 'Start of the name' }).fill('Ka')
      await settled(page)
      const made = await names(page)
      assert.ok(
        made.every((name) => name.startsWith('Ka')),
        made.join(', '),
      )
      await page.waitForFunction(
        () => location.hash.includes('seed=7') && location.hash.includes('start=Ka'),
      )
      const hash = await page.evaluate(() => location.hash)
      await page.reload()
      await settled(page)
      assert.equal(await page.evaluate(() => location.hash), hash)
      assert.deepEqual(await names(page), made)
      assert.equal(await strength.inputValue(), '0.95')
      for (const label of ['Japan', 'LoRA', 'Layer 2, up, 320\u202f×\u202f128'])
        assert.ok(await page.getByRole('radio', { name: label, exact: true }).isChecked(), label)
      assert.deepEqual(complaints, [])
      await close()
    })
  })

describe('the page itself', () => {
  let place
  before(async () => (place = await open({ webgpu: false })))
  after(() => place?.close())

  test('Korean, switched to and by the browser', async () => {
    const { page, close } = await visit(place)
    await choose(page, '한국어')
    await page.getByRole('heading', { name: '어댑터 속' }).waitFor()
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'ko')
    await close()

    const korean = await visit(place, '', { locale: 'ko-KR' })
    assert.equal(await korean.page.evaluate(() => document.documentElement.lang), 'ko')
    const text = await korean.page.evaluate(() => {
      const texts = document.createTreeWalker(document.querySelector('main'), NodeFilter.SHOW_TEXT)
      const found = []
      while (texts.nextNode())
        if (!texts.currentNode.parentElement.closest('[lang=en], [translate=no], math'))
          found.push(texts.currentNode.data)
      return found.join(' ')
    })
    assert.doesNotMatch(
      text,
      /\b(?!GeoNames|LoRA|LoHa|LoKr|WebGPU|GGUF|SmolLM|huggingface|models|gate|down)[A-Za-z]{4,}/,
      'no English left over',
    )
    await korean.close()
  })

  for (const colorScheme of ['light', 'dark'])
    for (const width of [360, 1280])
      test(`accessible, ${colorScheme}, ${width} px`, async () => {
        const { page, close } = await visit(place, '#v=1&country=fi&method=loha', {
          colorScheme,
          viewport: { width, height: 900 },
          reducedMotion: 'reduce',
        })
        await drawn(page)
        await page.evaluate(() => (document.querySelector('details').open = true))
        assert.deepEqual(await grave(page), [])
        assert.ok((await overflow(page)) <= 0, 'wider than the window')
        await close()
      })

  for (const width of [390, 1280])
    test(`nothing jumps, ${width} px`, async () => {
      const { page, close } = await visit(place, '', { viewport: { width, height: 900 } })
      await drawn(page)
      const shift = await page.evaluate(
        () =>
          new Promise(
            (resolve) =>
              new PerformanceObserver((list) =>
                resolve(list.getEntries().reduce((sum, { value }) => sum + value, 0)),
              ).observe({ type: 'layout-shift', buffered: true }) ?? setTimeout(resolve, 300, 0),
          ),
      )
      assert.ok(shift < 0.02, `layout shift while loading: ${shift}`)
      const height = () => page.evaluate(() => document.documentElement.scrollHeight)
      const before = await height()
      for (const country of ['Finland', 'Japan', 'None (English)']) {
        await choose(page, country)
        await settled(page)
        await drawn(page)
        assert.equal(await height(), before, country)
      }
      await close()
    })

  test('a missing model is told in words, with a code, and can be tried again', async () => {
    const context = await place.browser.newContext({ locale: 'en' })
    const page = await context.newPage()
    await page.route('**/model.safetensors', (route) => route.fulfill({ status: 404, body: '' }))
    await page.goto(place.url)
    const alert = page.getByRole('alert')
    await alert.getByText('The model could not be started.').waitFor()
    assert.match(await alert.locator('code').textContent(), /^\w+$/)
    await page.unroute('**/model.safetensors')
    await alert.getByRole('button', { name: 'Try again' }).click()
    await settled(page)
    await context.close()
  })

  test('the first names within 2 s of a warm load, on the CPU', async () => {
    const { page, close } = await visit(place, '#v=1&device=cpu')
    await page.evaluate(() => {})
    const started = performance.now()
    await page.reload({ waitUntil: 'commit' })
    await page.waitForFunction(() =>
      [...document.querySelectorAll('#names .name')].some((name) =>
        /\p{L}/u.test(name.textContent),
      ),
    )
    const milliseconds = performance.now() - started
    console.log(`first name after ${milliseconds.toFixed(0)} ms`)
    assert.ok(milliseconds < 2000, `${milliseconds.toFixed(0)} ms`)
    await close()
  })

  test('up to the first name the page brings less than 1 MB of code, and no tools', async (t) => {
    const context = await place.browser.newContext({ locale: 'en' })
    const page = await context.newPage()
    const found = []
    page.on('response', (response) => found.push(response))
    await page.goto(place.url)
    await page.waitForFunction(() => document.querySelector('#names .name').textContent.length > 1)
    const code = found.filter((response) => !response.url().includes('/places/'))
    const bodies = await Promise.all(code.map((response) => response.body()))
    const size = bodies.reduce((sum, body) => sum + gzipSync(body).length, 0)
    t.diagnostic(`${code.length} files, ${(size / 1000).toFixed(0)} kB in gzip`)
    assert.ok(size > 100_000 && size < 1_000_000, `${size} bytes`)
    assert.deepEqual(
      code.map((response) => response.url()).filter((url) => /tools|Writing|worker/.test(url)),
      [],
    )
    await context.close()
  })

  test('a sliding strength neither blocks the page nor stops the list', async () => {
    const { page, close } = await visit(place, '#v=1&country=fi&device=cpu')
    const longest = await page.evaluate(async () => {
      const slider = document.querySelector('input[type=range]')
      let last = performance.now()
      let longest = 0
      for (let i = 0; i < 60; i++) {
        slider.value = String((i % 31) * 0.05)
        slider.dispatchEvent(new Event('input', { bubbles: true }))
        await new Promise(requestAnimationFrame)
        const now = performance.now()
        longest = Math.max(longest, now - last)
        last = now
      }
      return longest
    })
    console.log(`longest frame while sliding ${longest.toFixed(0)} ms`)
    assert.ok(longest < 150, `${longest.toFixed(0)} ms`)
    await settled(page)
    await close()
  })
})

function stripped(texts) {
  return texts.map((text) => text.replace('without the adapter:', '').trim())
}
