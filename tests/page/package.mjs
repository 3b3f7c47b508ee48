// The package, bundled by Vite as an application's, on a page whose tests call it.
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { open } from './browser.mjs'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))

/** A page with `window.lokahi` and the page's public files: { page, browser, url, close }. */
export async function openPackage({ webgpu }) {
  const outDir = path('./output/package')
  await build({
    configFile: false,
    logLevel: 'warn',
    root: path('./package'),
    publicDir: path('../../www/public'),
    resolve: { alias: { lokahi: path('../../dist/index.js') } },
    build: { outDir, emptyOutDir: true, target: 'es2022' },
  })
  const opened = await open({ webgpu, folder: outDir })
  const page = await opened.browser.newPage()
  await page.goto(opened.url)
  await page.waitForFunction(() => window.lokahi)
  return { page, ...opened }
}
