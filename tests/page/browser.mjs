// A real Chromium on the built page, served on loopback; used by the tests and by the pictures.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { serve } from '../../scripts/serve.mjs'
import { chromium as chromiumPath, chromiumArgs } from '../../scripts/tools.mjs'

const built = fileURLToPath(new URL('../../www/dist', import.meta.url))
const models = fileURLToPath(new URL('../../models', import.meta.url))

// webdriver.json turns WebGPU on, on SwiftShader: the same on every machine.
const withoutWebGpu = () => [
  ...chromiumArgs().filter((arg) => !arg.includes('webgpu')),
  '--disable-features=WebGPU',
]

/** A Chromium with or without WebGPU. */
export const launch = ({ webgpu }) =>
  chromium.launch({
    executablePath: chromiumPath(),
    args: webgpu ? chromiumArgs() : withoutWebGpu(),
  })

/** A folder on a server of its own and a browser with or without WebGPU: { url, browser, close }. */
export async function open({ webgpu, folder = built, headers }) {
  const server = await serve(folder, { port: 0, headers, models })
  const browser = await launch({ webgpu })
  return {
    url: server.url,
    browser,
    close: async () => {
      await browser.close()
      await server.close()
    },
  }
}

/** The list is complete and made with the current settings. */
export async function settled(page) {
  await page.waitForFunction(() => {
    const names = [...document.querySelectorAll('#names li')]
    return names.length === 12 && names.every((li) => !li.classList.contains('stale'))
  })
}

export const names = (page) => page.locator('#names .name').allTextContents()

/** All three methods of the shown country are loaded and drawn. */
export const drawn = (page) => page.locator('.methods .figure svg').nth(2).waitFor()

/** A fresh page that writes down every complaint and every request that leaves the origin. */
export async function visit({ url, browser }, hash = '', options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    locale: 'en',
    ...options,
  })
  const page = await context.newPage()
  const complaints = []
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url())
    if (origin !== new URL(url).origin && !['data:', 'blob:'].includes(protocol))
      complaints.push(`a request left the page: ${request.url()}`)
  })
  await page.goto(url + hash)
  await settled(page)
  return { page, complaints, close: () => context.close() }
}

export const choose = (page, label) => page.getByRole('radio', { name: label, exact: true }).check()

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

/** What axe finds serious or critical. The page's policy forbids scripts of others: it is evaluated. */
export async function grave(page) {
  if (!(await page.evaluate(() => 'axe' in window))) {
    await page.evaluate(await readFile(axe, 'utf8'))
  }
  const { violations } = await page.evaluate(() => window.axe.run())
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join('\n')}`)
}

/** Pixels that the page is wider than the window. */
export const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)

/** A part of the lab is fetched when it comes near. */
export async function near(page, part) {
  await page.locator(`[data-part=${part}]`).scrollIntoViewIfNeeded()
  await page.locator(`[data-part=${part}] h2`).waitFor()
}
