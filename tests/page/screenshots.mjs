// Pictures of the page: node tests/page/screenshots.mjs, or with --readme those of the README. The
// real language model is on them when its file is here (npm run model).
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { hasModel } from '../../scripts/model.mjs'
import { drawn, near, open, settled } from './browser.mjs'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const PARTS = ['products', 'count', 'budget', 'open', 'measure']
const setting = '#v=1&country=fi&method=lokr'

const { url, browser, close } = await open({ webgpu: process.argv.includes('--webgpu') })

async function at(hash, { width, height, colorScheme, locale }) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme,
    locale,
    reducedMotion: 'reduce',
  })
  const page = await context.newPage()
  await page.goto(url + hash)
  return page
}

async function visit({ hash, ...how }) {
  const page = await at(hash, how)
  await settled(page)
  await drawn(page)
  return page
}

/** A part that shows nothing until a file is open. */
async function openFile(page) {
  const part = page.locator('[data-part=open]')
  await part.getByText('SmolLM2, LoKr').click()
  await part.getByTestId('opened').waitFor()
  await page.waitForFunction(() => {
    const { value, max } = document.querySelector('[data-part=open] .measuring progress')
    return value === max
  })
  await part.locator('[data-module="0"] button').click()
}

/** A part that shows nothing until it has measured. */
async function measureForms(page) {
  const part = page.locator('[data-part=measure]')
  await part.locator('.start button').click()
  await part.getByTestId('measured').waitFor({ timeout: 120_000 })
}

async function picture(file, { fullPage, ...how }) {
  const page = await visit(how)
  if (fullPage) {
    for (const part of PARTS) await near(page, part)
    await openFile(page)
    await measureForms(page)
  }
  await page.waitForTimeout(300)
  await page.screenshot({ path: file, fullPage })
  console.log(file)
  if (fullPage)
    for (const part of PARTS) {
      const of = file.replace('.png', `-${part}.png`)
      await page.locator(`[data-part=${part}]`).screenshot({ path: of })
      console.log(of)
    }
  await page.context().close()
}

/** The section of the real language model: while it loads, while it writes, and when all is done. */
async function pictureReal(file, how) {
  const page = await visit(how)
  const real = page.locator('.real')
  const take = async (name) => {
    await real.screenshot({ path: `${file}-${name}.png` })
    console.log(`${file}-${name}.png`)
  }
  await take('before')
  await real.getByRole('button', { name: /98 MB/ }).click()
  await real.getByText(/\d\.\d MB/).waitFor()
  await take('loading')
  await page.waitForFunction(() =>
    [...document.querySelectorAll('.real .made')].some((text) => text.textContent.length > 60),
  )
  await take('writing')
  await real.locator('[aria-busy=false]').waitFor({ timeout: 300_000 })
  await real.locator('.merge button').click()
  await real.getByTestId('merging').getByText(' ms').waitFor({ timeout: 300_000 })
  await take('done')
  await page.context().close()
}

/** The beginning of the section of one part, as README shows it. */
async function pictureOf(part, height, prepare = () => {}) {
  const how = { width: 1280, height: 1400, colorScheme: 'light', locale: 'en' }
  const page = await at(`${setting}&embed=${part}`, how)
  if (PARTS.includes(part)) await near(page, part)
  await prepare(page)
  await page.waitForTimeout(300)
  const file = path(`../../www/readme-${part}.png`)
  const { x, y, width } = await page.locator(`[data-part=${part}]`).boundingBox()
  await page.screenshot({ path: file, clip: { x, y, width, height } })
  console.log(file)
  await page.context().close()
}

if (process.argv.includes('--readme')) {
  await picture(path('../../www/readme.png'), {
    width: 1280,
    height: 980,
    colorScheme: 'light',
    locale: 'en',
    hash: setting,
    fullPage: false,
  })
  await pictureOf('products', 1030)
  await pictureOf('budget', 640)
  if (hasModel())
    await pictureOf('smollm2', 620, async (page) => {
      const real = page.locator('.real')
      await real.getByRole('button', { name: /98 MB/ }).click()
      await page.waitForFunction(
        () => {
          const made = [...document.querySelectorAll('.real .made')]
          return made.some((text) => text.textContent.length > 60)
        },
        null,
        { timeout: 300_000 },
      )
      await real.locator('[aria-busy=false]').waitFor({ timeout: 300_000 })
    })
} else {
  const output = path('./output/')
  await mkdir(output, { recursive: true })
  for (const [width, height] of [
    [1440, 900],
    [390, 844],
  ])
    for (const colorScheme of ['light', 'dark'])
      for (const locale of ['en', 'ko']) {
        const file = `${output}${width}-${colorScheme}-${locale}.png`
        const how = { width, height, colorScheme, locale, hash: setting }
        await picture(file, { ...how, fullPage: true })
        if (hasModel()) await pictureReal(file.replace('.png', '-real'), how)
      }
  await picture(`${output}1440-opening.png`, {
    width: 1440,
    height: 900,
    colorScheme: 'light',
    locale: 'en',
    hash: '',
    fullPage: false,
  })
}
await close()
