// The package in a module worker that Vite bundled, on both backends.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { open } from './browser.mjs'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))

test('a module worker loads the model, swaps an adapter in and names a town', async () => {
  const outDir = path('./output/worker')
  await build({
    configFile: false,
    logLevel: 'warn',
    root: path('./worker'),
    publicDir: path('../../www/public'),
    resolve: { alias: { lokahi: path('../../dist/index.js') } },
    worker: { format: 'es' },
    build: { outDir, emptyOutDir: true, target: 'es2022' },
  })
  const { url, browser, close } = await open({ webgpu: true, folder: outDir })
  try {
    const page = await browser.newPage()
    await page.goto(url)
    const said = await page.evaluate(() => window.said)
    const finnish = { parameters: 71_680, text: 'San Palki' }
    assert.deepEqual(said, [
      { backend: 'cpu', ...finnish },
      { backend: 'webgpu', ...finnish },
    ])
  } finally {
    await close()
  }
})
