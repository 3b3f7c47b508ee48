// Terms lead to their definitions: by keys, in both languages, in either theme.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { grave, near, open, overflow, visit as visitPage } from './browser.mjs'

let place
before(async () => (place = await open({ webgpu: false })))
after(() => place?.close())

const PARTS = ['products', 'count', 'budget', 'glossary']
async function visit(hash, options = {}) {
  const visited = await visitPage(place, hash, { reducedMotion: 'reduce', ...options })
  for (const part of PARTS) await near(visited.page, part)
  return visited
}

test('a term opens by keys, closes by Escape, and gives the keyboard back', async () => {
  const { page, complaints, close } = await visit('#v=1')
  const term = page.locator('[data-part=count] [data-term=rank]')
  await term.focus()
  await page.keyboard.press('Enter')
  const shown = page.locator(':popover-open')
  await shown.getByText(/independent directions/).waitFor()
  const [word, box] = [await term.boundingBox(), await shown.boundingBox()]
  assert.ok(box.y >= word.y + word.height && box.y < word.y + word.height + 20, 'below its word')
  assert.deepEqual(await grave(page), [])
  await page.keyboard.press('Escape')
  await shown.waitFor({ state: 'hidden' })
  assert.equal(await page.evaluate(() => document.activeElement.dataset.term), 'rank')
  assert.deepEqual(complaints, [])
  await close()
})

for (const [lang, rank] of [
  ['en', /rank/],
  ['ko', /랭크/],
])
  test(`every part leads to terms that the glossary defines once, ${lang}`, async () => {
    const { page, close } = await visit(`#v=1&lang=${lang}&country=it`)
    const found = await page.evaluate(() => {
      const terms = (part) =>
        [...document.querySelectorAll(`[data-part=${part}] [data-term]`)].map((t) => t.dataset.term)
      const defined = [...document.querySelectorAll('[data-definition]')]
      return {
        terms: ['inside', 'where', 'methods', 'products', 'count', 'budget', 'smollm2'].map(terms),
        defined: defined.map((d) => d.dataset.definition),
        texts: defined.map((d) => d.innerText),
      }
    })
    for (const terms of found.terms) {
      assert.ok(terms.length > 0)
      for (const term of terms) assert.ok(found.defined.includes(term), term)
    }
    assert.equal(new Set(found.defined).size, found.defined.length)
    assert.ok(found.texts.every((text) => text.length > 30))
    assert.match(found.texts.join(), rank)
    await close()
  })

for (const colorScheme of ['light', 'dark'])
  test(`accessible and within the window, ${colorScheme}, 360 px`, async () => {
    const { page, close } = await visit('#v=1&lang=ko', {
      colorScheme,
      viewport: { width: 360, height: 800 },
    })
    await page.locator('[data-part=products] [data-term=kronecker]').click()
    const box = await page.locator(':popover-open').boundingBox()
    assert.ok(box.x >= 0 && box.x + box.width <= 360, JSON.stringify(box))
    assert.deepEqual(await grave(page), [])
    assert.ok((await overflow(page)) <= 0)
    await close()
  })
