// Pictures of the page: node tests/page/screenshots.mjs, or with --readme the one of the README.
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { drawn, near, open, settled } from './browser.mjs'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const PARTS = ['products', 'count', 'budget']
const setting = '#v=1&country=fi&method=lokr'

const { url, browser, close } = await open({ webgpu: process.argv.includes('--webgpu') })

async function picture(
  file,
  { width, height, colorScheme, locale, hash, fullPage, deviceScaleFactor = 1 },
) {
  const context = await browser.newContext({
    viewport: { width, height },
    deviceScaleFactor,
    colorScheme,
    locale,
    reducedMotion: 'reduce',
  })
  const page = await context.newPage()
  await page.goto(url + hash)
  await settled(page)
  await drawn(page)
  if (fullPage) for (const part of PARTS) await near(page, part)
  await page.waitForTimeout(300)
  await page.screenshot({ path: file, fullPage })
  console.log(file)
  if (fullPage)
    for (const part of PARTS) {
      const of = file.replace('.png', `-${part}.png`)
      await page.locator(`[data-part=${part}]`).screenshot({ path: of })
      console.log(of)
    }
  await context.close()
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
        await picture(file, { width, height, colorScheme, locale, hash: setting, fullPage: true })
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
