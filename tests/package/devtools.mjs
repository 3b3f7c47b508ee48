// A Chromium spoken to by its own protocol. Playwright keeps every page visible and in focus, so that
// none is ever hidden.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromiumArgs, chromium as chromiumPath } from '../../scripts/tools.mjs'

/** Its first tab: { evaluate, hide, freeze, show, close }. */
export async function openTab(url) {
  const profile = mkdtempSync(join(tmpdir(), 'lokahi-'))
  const more = ['--headless=new', '--no-first-run', '--remote-debugging-pipe']
  const browser = spawn(
    chromiumPath(),
    [...chromiumArgs(), ...more, `--user-data-dir=${profile}`, 'about:blank'],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
  )
  const [, , , to, from] = browser.stdio

  // Messages end with a zero.
  const waiting = new Map()
  let rest = ''
  from.setEncoding('utf8').on('data', (data) => {
    const messages = (rest + data).split('\0')
    rest = messages.pop()
    for (const { id, result, error } of messages.map((message) => JSON.parse(message))) {
      if (error) waiting.get(id)?.reject(new Error(error.message))
      else waiting.get(id)?.resolve(result)
      waiting.delete(id)
    }
  })
  let last = 0
  const send = (method, params = {}, sessionId = undefined) =>
    new Promise((resolve, reject) => {
      waiting.set(++last, { resolve, reject })
      to.write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`)
    })

  const { targetInfos } = await send('Target.getTargets')
  const { targetId } = targetInfos.find(({ type }) => type === 'page')
  const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true })
  const inTab = (method, params) => send(method, params, sessionId)
  const lifecycle = (state) => inTab('Page.setWebLifecycleState', { state })
  /** What a function gives in the page. */
  const evaluate = async (use, ...given) => {
    const expression = `(${use})(...${JSON.stringify(given)})`
    const asked = { expression, awaitPromise: true, returnByValue: true }
    const { result, exceptionDetails } = await inTab('Runtime.evaluate', asked)
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description)
    return result.value
  }
  await inTab('Page.navigate', { url })
  return {
    evaluate,
    /** Another tab comes to the front. */
    async hide() {
      const other = await send('Target.createTarget', { url: 'about:blank' })
      await send('Target.activateTarget', other)
    },
    /** The browser stops it, as it does with tabs that were hidden for long. */
    freeze: () => lifecycle('frozen'),
    async show() {
      await lifecycle('active')
      await send('Target.activateTarget', { targetId })
    },
    async close() {
      browser.kill()
      if (browser.exitCode === null && browser.signalCode === null) await once(browser, 'exit')
      // Its children write for a moment longer.
      await rm(profile, { recursive: true, force: true, maxRetries: 10 })
    },
  }
}
