// The references beside the page, as `npm run docs` made them: linked, whole, and under their policy.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { open } from '../page/browser.mjs'

let opened
before(async () => (opened = await open({ webgpu: false })))
after(() => opened?.close())

async function visit(path, use, errors = []) {
  const page = await opened.browser.newPage()
  page.on('pageerror', ({ message }) => errors.push(message))
  page.on('console', (message) => {
    if (message.type() === 'error' && !/favicon/.test(message.location().url)) {
      errors.push(message.text())
    }
  })
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url())
    if (protocol !== 'data:' && `${origin}/` !== opened.url) errors.push(request.url())
  })
  await page.goto(opened.url + path)
  await use(page)
  await page.close()
  return errors
}

test("the page's footer leads to both", async () => {
  const errors = await visit('', async (page) => {
    for (const name of ['the package (JavaScript)', 'the crate (Rust)']) {
      await page.getByRole('link', { name }).click()
      await page
        .getByRole('heading', { name: /^(Crate )?lokahi/i })
        .first()
        .waitFor()
      await page.goBack()
    }
  })
  assert.deepEqual(
    errors.filter((error) => !error.includes('inline script')),
    [],
  )
})

test("the package's: shown and searched under a strict policy", async () => {
  const errors = await visit('api/', async (page) => {
    await page.getByRole('link', { name: 'lokahi', exact: true }).first().click()
    await page.locator('#tsd-search-trigger').click()
    await page.locator('#tsd-search-input').fill('loadAdapter')
    await page.locator('#tsd-search-results a').first().click()
    await page.getByText('Loads an adapter under a name').first().waitFor()
  })
  assert.deepEqual(errors, [])
})
