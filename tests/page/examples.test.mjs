// The programs of examples/, each as it is.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { open } from './browser.mjs'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const outDir = path('./output/examples')
const goldens = JSON.parse(readFileSync(path('../fixtures/places/goldens.json'), 'utf8'))
const adapters = path('../../www/public/places/adapters')

let opened
before(async () => {
  const configFile = path('../../examples/vite.config.js')
  await build({ configFile, logLevel: 'warn', build: { outDir, emptyOutDir: true } })
  opened = await open({ webgpu: false, folder: outDir })
})
after(() => opened?.close())

/** Opens an example; it may not complain. */
async function example(name, use) {
  const page = await opened.browser.newPage()
  const errors = []
  page.on('pageerror', ({ message }) => errors.push(message))
  page.on('console', (message) => {
    // Browsers ask for an icon, and for what a model may have.
    const { url } = message.location()
    if (message.type() === 'error' && !/places|favicon/.test(url)) errors.push(message.text())
  })
  await page.goto(`${opened.url}${name}.html`)
  await use(page)
  assert.deepEqual(errors, [])
  await page.close()
}

const said = (page, words) => page.locator('#said', { hasText: words }).waitFor()
const names = async (page) => (await page.locator('#names li').allTextContents()).join()

test('all pages are in the list', async () => {
  const pages = readdirSync(path('../../examples')).filter((name) => name.endsWith('.html'))
  await example('index', async (page) => {
    const links = await page
      .locator('a')
      .evaluateAll((all) => all.map((link) => link.getAttribute('href').slice(2)))
    assert.deepEqual([...links, 'index.html'].sort(), pages.sort())
  })
})

test('swap: another adapter, other names, and back', () =>
  example('swap', async (page) => {
    await said(page, 'The model alone')
    const base = await names(page)
    await page.getByLabel('Finland').check()
    await said(page, 'Finland')
    const finnish = await names(page)
    await page.getByLabel('Korea').check()
    await said(page, 'Korea')
    const korean = await names(page)
    assert.equal(new Set([base, finnish, korean]).size, 3)
    await page.getByLabel('none').check()
    await said(page, 'The model alone')
    assert.equal(await names(page), base)
  }))

test('mix: strengths move between two adapters', () =>
  example('mix', async (page) => {
    const at = async (value) => {
      await page.locator('#balance').fill(value)
      await said(page, `Italy ${Number(value).toFixed(2)}`)
      let last
      // The list is put there at once, when all is written.
      do {
        last = await names(page)
        await page.waitForTimeout(500)
      } while (last !== (await names(page)))
      return last
    }
    await page.locator('#names li').nth(4).waitFor()
    const [finland, middle, italy] = [await at('0'), await at('0.5'), await at('1')]
    assert.equal(new Set([finland, middle, italy]).size, 3)
    assert.equal(await at('0'), finland)
  }))

test('compare: each row is what PEFT writes with its adapter', () =>
  example('compare', async (page) => {
    await said(page, 'Written on the CPU')
    const texts = await page.locator('#rows td:nth-child(2)').allTextContents()
    const wanted = ['base', 'fi-lora', 'fi-loha', 'fi-lokr']
    assert.deepEqual(
      texts,
      wanted.map((name) => goldens.models[name][2].text),
    )
  }))

test('worker: to its end, and stopped', () =>
  example('worker', async (page) => {
    await said(page, 'Done')
    const lines = (await page.locator('#text').textContent()).trimEnd().split('\n')
    assert.equal(lines.length, 20)
    assert.ok(await page.locator('#stop').isDisabled())
    await page.addInitScript(() => {
      new MutationObserver(() => {
        const button = document.getElementById('stop')
        if (button && !button.disabled) button.click()
      }).observe(document, { subtree: true, attributes: true })
    })
    await page.reload()
    await said(page, 'AbortError')
  }))

test('file: inspects and converts in Node', () => {
  const out = mkdtempSync(join(tmpdir(), 'lokahi-'))
  const run = (...args) =>
    execFileSync(process.execPath, ['examples/file.mjs', ...args], {
      cwd: path('../..'),
      encoding: 'utf8',
    })
  try {
    const lora = join(adapters, 'fi-lora')
    const [first] = run(lora).split('\n')
    assert.equal(first, 'PEFT, LoRA: 28 weights are changed')
    assert.match(run(lora, 'lycoris', out), /35840 numbers/)
    const [file] = readdirSync(out)
    const [again, numbers] = run(join(out, file)).split('\n')
    assert.match(again, /LoRA: 28 weights/)
    assert.match(numbers, /^35840 numbers/)
    assert.throws(() => run(lora, 'lycoris', out), /EEXIST/, 'nothing is written over')
  } finally {
    rmSync(out, { recursive: true })
  }
})
