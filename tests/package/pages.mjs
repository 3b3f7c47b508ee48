// Pages of consumers in one Chromium, with WebGPU on a software GPU.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { serve } from '../../scripts/serve.mjs'
import { launch } from '../page/browser.mjs'
import { npm } from './consumers.mjs'

let browser
export async function closeBrowser() {
  await (await browser)?.close()
  browser = undefined
}

/** Opens an address; `use` gets its page, the addresses that it asks for, what it logs, its errors. */
export async function onPage(url, use) {
  browser ??= launch({ webgpu: true })
  const page = await (await browser).newPage()
  const asked = []
  const said = []
  const errors = []
  page.on('request', (request) => asked.push(request.url()))
  page.on('pageerror', ({ message }) => errors.push(message))
  page.on('console', (message) => {
    if (message.type() === 'log') said.push(message.text())
    // A model may have files that this one has not, and browsers ask for an icon.
    if (message.type() !== 'error' || /places|favicon/.test(message.location().url)) return
    errors.push(message.text())
  })
  try {
    await page.goto(url)
    return await use({ page, asked, said, errors })
  } finally {
    await page.close()
  }
}

/** What the page of a consumer tells; it may neither complain nor ask another host. */
export const resultOf = (url, use = () => {}) =>
  onPage(url, async ({ page, asked, errors }) => {
    const told = await page
      .waitForFunction(() => window.result)
      .then(() => page.evaluate(() => window.result))
      .catch((error) => assert.fail(`${error.message}\n${errors.join('\n')}`))
    assert.deepEqual(errors, [])
    const { origin } = new URL(url)
    assert.deepEqual(
      asked.filter(
        (address) => !/^(data|blob):/.test(address) && new URL(address).origin !== origin,
      ),
      [],
    )
    await use({ page, asked })
    return told
  })

/** What the page in a folder tells. */
export async function resultIn(folder, { headers, path = '', use } = {}) {
  const { url, close } = await serve(folder, { port: 0, headers })
  try {
    return await resultOf(`${url}${path}`, use)
  } finally {
    await close()
  }
}

export const build = (folder) => npm(['run', 'build'], folder)

/** Runs a server of a consumer's own until `use` is over; `use` gets the address that it prints. */
export async function withServer(folder, [bin, ...args], use) {
  const script = join(folder, 'node_modules', bin)
  const server = spawn(process.execPath, [script, ...args], {
    cwd: folder,
    env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    let all = ''
    for await (const line of createInterface({ input: server.stdout })) {
      all += `${line}\n`
      const [url] = line.match(/http:\/\/(127\.0\.0\.1|localhost):\d+\/?/) ?? []
      if (url) return await use(url.endsWith('/') ? url : `${url}/`)
    }
    assert.fail(`${bin} printed no address:\n${all}`)
  } finally {
    server.kill()
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  }
}
