// The consumers that take longer: other bundlers, frameworks, an extension, development servers.
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { chromium } from 'playwright-core'
import { chromiumArgs, chromium as chromiumPath } from '../../scripts/tools.mjs'
import { agrees, consumer, places } from './consumers.mjs'
import { build, closeBrowser, onPage, resultIn, resultOf, withServer } from './pages.mjs'

after(closeBrowser)

for (const name of ['webpack', 'esbuild', 'rollup']) {
  test(`${name}: the built page`, async () => {
    const folder = consumer(name)
    places(folder)
    build(folder)
    agrees(await resultIn(folder))
  })
}

test('esbuild: lokahi/inline and all else in one file, which fetches the model alone', async () => {
  const folder = consumer('single')
  places(folder)
  build(folder)
  const use = ({ asked }) => {
    const others = asked.filter((url) => !url.includes('/places/'))
    assert.equal(others.filter((url) => !url.endsWith('favicon.ico')).length, 1, others.join('\n'))
  }
  agrees(await resultIn(folder, { use }))
})

test('Vite: the development server', async () => {
  const folder = consumer('vite')
  places(join(folder, 'public'))
  const vite = ['vite/bin/vite.js', '--host', '127.0.0.1', '--port', '0']
  await withServer(folder, vite, async (url) => agrees(await resultOf(url)))
})

test('Vite: the worker, built and from the development server', async () => {
  const folder = consumer('worker')
  places(join(folder, 'public'))
  build(folder)
  const policy = "default-src 'none'; connect-src 'self'; script-src 'self' 'wasm-unsafe-eval'"
  const headers = { 'Content-Security-Policy': `${policy}; worker-src 'self'` }
  agrees(await resultIn(join(folder, 'dist'), { headers }))
  const vite = ['vite/bin/vite.js', '--host', '127.0.0.1', '--port', '0']
  await withServer(folder, vite, async (url) => agrees(await resultOf(url)))
})

test('Next.js: imported on the server, run by a client component', async () => {
  const folder = consumer('next')
  places(join(folder, 'public'))
  build(folder)
  const next = ['next/dist/bin/next', 'start', '--hostname', '127.0.0.1', '--port', '0']
  await withServer(folder, next, async (url) => {
    const use = async ({ page }) =>
      assert.equal(await page.locator('#server').textContent(), 'Network')
    agrees(await resultOf(url, use))
  })
})

test('SvelteKit: drawn on the server, run in the page', async () => {
  const folder = consumer('sveltekit')
  places(join(folder, 'static'))
  build(folder)
  const built = join(folder, 'build')
  assert.match(readFileSync(join(built, 'index.html'), 'utf8'), /<p id="server">Network<\/p>/)
  agrees(await resultIn(built))
})

test('an extension page with the strict default policy', async () => {
  const folder = consumer('extension')
  places(join(folder, 'public'))
  build(folder)
  const dist = join(folder, 'dist')
  const profile = mkdtempSync(join(tmpdir(), 'lokahi-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: chromiumPath(),
    ignoreDefaultArgs: ['--disable-extensions'],
    args: [
      ...chromiumArgs(),
      '--disable-features=DisableLoadExtensionCommandLineSwitch',
      `--disable-extensions-except=${dist}`,
      `--load-extension=${dist}`,
    ],
  })
  try {
    const page = await context.newPage()
    // The name of an extension without a key is the hash of its folder, in letters from a to p.
    const { createHash } = await import('node:crypto')
    const hash = createHash('sha256').update(dist).digest('hex').slice(0, 32)
    const id = hash.replace(/./g, (digit) => 'abcdefghijklmnop'[parseInt(digit, 16)])
    await page.goto(`chrome-extension://${id}/index.html`)
    await page.waitForFunction(() => window.result)
    agrees(await page.evaluate(() => window.result))
  } finally {
    await context.close()
    // Its children write for a moment longer.
    await rm(profile, { recursive: true, force: true, maxRetries: 10 })
  }
})
