// A real Chromium on the built page, served on loopback; used by the tests and by the pictures.
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { serve } from '../../scripts/serve.mjs'
import { chromium as chromiumPath, chromiumArgs } from '../../scripts/tools.mjs'

const built = fileURLToPath(new URL('../../www/dist', import.meta.url))

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
  const server = await serve(folder, { port: 0, headers })
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
