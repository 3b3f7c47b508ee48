// Browsers through their WebDriver; WebKitGTK's on a screen that is only in memory.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { find, firefox, read } from '../../scripts/tools.mjs'

/** The browser that the driver opens, which Debian keeps out of the path. */
function miniBrowser() {
  for (const folder of readdirSync('/usr/lib')) {
    const path = join('/usr/lib', folder, 'webkit2gtk-4.1/MiniBrowser')
    if (existsSync(path)) return path
  }
  throw new Error('WebKitGTK has no MiniBrowser under /usr/lib: npm run setup')
}

/**
 * Opens an address in WebKitGTK; `use` gets { version, evaluate, call, press, point, resize, printed }.
 * `evaluate` runs the body of an async function in the page, `call` a function of here with what is given.
 */
export const inWebKit = (url, use) => {
  const options = { binary: miniBrowser(), args: ['--automation'] }
  const command = (port) => ['xvfb-run', '-a', find('WebKitWebDriver'), `--port=${port}`]
  return inBrowser(command, { 'webkitgtk:browserOptions': options }, url, use)
}

// What pages log, and their errors, go where `printed` finds them.
const telling = {
  'devtools.console.stdout.content': true,
  'browser.dom.window.dump.enabled': true,
}

/** The same in Firefox, with WebGPU on a software GPU or without it; `more` are further preferences. */
export const inFirefox = ({ webgpu, more }, url, use) => {
  const { args, prefs } = JSON.parse(read('webdriver.json'))['moz:firefoxOptions']
  const chosen = webgpu ? prefs : { 'dom.webgpu.enabled': false }
  const options = { binary: firefox(), args, prefs: { ...chosen, ...telling, ...more } }
  const command = (port) => [find('geckodriver'), `--port=${port}`]
  return inBrowser(command, { 'moz:firefoxOptions': options }, url, use)
}

/** As WebDriver writes them. */
const KEYS = {
  Tab: '\ue004',
  Enter: '\ue007',
  Escape: '\ue00c',
  End: '\ue010',
  Home: '\ue011',
  ArrowLeft: '\ue012',
  ArrowUp: '\ue013',
  ArrowRight: '\ue014',
  ArrowDown: '\ue015',
}

async function inBrowser(command, options, url, use) {
  const port = await freePort()
  const [program, ...args] = command(port)
  const driver = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const ended = once(driver, 'exit')
  let printed = ''
  for (const output of [driver.stdout, driver.stderr])
    output.on('data', (some) => (printed += some))
  try {
    const ask = (method, path, body) => request(`http://127.0.0.1:${port}${path}`, method, body)
    await listening(ask)
    const asked = { capabilities: { alwaysMatch: options } }
    const { sessionId, capabilities } = await ask('POST', '/session', asked)
    const at = `/session/${sessionId}`
    try {
      await ask('POST', `${at}/timeouts`, { script: 300_000 })
      await ask('POST', `${at}/url`, { url })
      const evaluate = async (body) => {
        const script =
          `const done = arguments[0]; (async () => { ${body} })()` +
          `.then((value) => done({ value }), (error) => done({ error: String(error) }))`
        const { value, error } = await ask('POST', `${at}/execute/async`, { script, args: [] })
        if (error !== undefined) throw new Error(error)
        return value
      }
      const act = (type, actions) =>
        ask('POST', `${at}/actions`, { actions: [{ type, id: type, actions }] })
      return await use({
        version: `${capabilities.browserName} ${capabilities.browserVersion}`,
        evaluate,
        call: (f, ...given) => evaluate(`return (${f})(...${JSON.stringify(given)})`),
        /** Keys of a keyboard, by the names in `KEYS` or by their letter. */
        press: (...keys) =>
          act(
            'key',
            keys.flatMap((key) =>
              ['keyDown', 'keyUp'].map((type) => ({ type, value: KEYS[key] ?? key })),
            ),
          ),
        /** The mouse goes to a point of the window. */
        point: (x, y) =>
          act('pointer', [{ type: 'pointerMove', x: Math.round(x), y: Math.round(y) }]),
        resize: (width, height) => ask('POST', `${at}/window/rect`, { width, height }),
        /** What the driver and the browser have printed. */
        printed: () => printed,
      })
    } finally {
      await ask('DELETE', at)
    }
  } finally {
    // The whole group: the screen, the driver and what it started.
    process.kill(-driver.pid)
    await ended
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  await new Promise((closed) => server.close(closed))
  return port
}

async function request(url, method, body) {
  const response = await fetch(url, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  })
  const { value } = await response.json()
  if (!response.ok) throw new Error(`WebDriver: ${value.error}: ${value.message}`)
  return value
}

/** Waits for the driver, ten seconds at most. */
async function listening(ask) {
  for (let tries = 0; ; tries++) {
    try {
      return await ask('GET', '/status')
    } catch (error) {
      if (tries === 100) throw error
      await sleep(100)
    }
  }
}
