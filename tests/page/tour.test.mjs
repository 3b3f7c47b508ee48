// The guided tour in a real Chromium: keys alone, both languages, axe, and the way back.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { choose, grave, open, overflow, settled, visit as visitPage } from './browser.mjs'

let place
before(async () => (place = await open({ webgpu: false })))
after(() => place?.close())

const visit = (hash = '', options = {}) =>
  visitPage(place, hash, { reducedMotion: 'reduce', ...options })

const bar = (page) => page.getByRole('region', { name: /Guided tour|둘러보기/ })
const title = (page) => bar(page).getByRole('heading').innerText()

/** The place of the step is marked and within the window, above the bar. */
async function pointed(page, selector) {
  await page.waitForFunction((selector) => {
    const place = document.querySelector('[data-toured]')
    if (!place?.matches(selector) || document.querySelectorAll('[data-toured]').length !== 1)
      return false
    const { top, bottom } = place.getBoundingClientRect()
    const bar = document.querySelector('.guide').getBoundingClientRect()
    return top >= 0 && top < bar.top && (bottom <= bar.top || top <= 32)
  }, selector)
}

const plain = async (locator) => (await locator.innerText()).replace(/[\u202f\s]+/g, ' ').trim()

/** By the number in the address: the place, and what the words and the page both say there. */
const STEPS = [
  ['[data-part=play]', /Strength/, '#names', /./],
  ['[data-testid=product-lora]', /r = 4 of them: rank 4 at most/, '[data-rank=lora]', /^LoRA 4 /],
  ['[data-testid=product-loha]', /4 × 4 = 16 layers/, '[data-rank=loha]', /^LoHa 16 16 /],
  [
    '[data-testid=product-lokr]',
    /2 × 4 = 8\..*higher than r = 4/,
    '[data-rank=lokr]',
    /^LoKr 8 8 /,
  ],
  [
    '[data-part=count] .columns',
    /LoKr stores 2 048 for rank 1 024.*LoHa needs 131 072/,
    '[data-testid=sum-lokr]',
    /2 048 numbers.*highest rank 1 024 of 1 024/,
  ],
  [
    '[data-part=count] .columns',
    /r = 2 costs as much as LoRA with r = 4, and both reach rank 4/,
    '[data-testid=sum-lora]',
    /r = 4.*highest rank 4 of/,
  ],
  [
    '[data-part=budget] > svg',
    /17 920 numbers\) reaches a loss of 1\.836?5?, r = 8 \(71 680\) reaches 1\.763/,
    '[data-part=budget] .readings',
    /17 920 numbers reach 1\.83\d, 71 680 reach 1\.763/,
  ],
  ['[data-part=smollm2]', /King James/, '[data-part=smollm2]', /Load the model/],
]

describe('the tour', () => {
  test('by keys alone, from the first step to the last and back to the own setting', async () => {
    const { page, complaints, close } = await visit('#v=1&country=jp&method=lora&lab.r=6')
    await page.getByRole('button', { name: 'Guided tour' }).focus()
    await page.keyboard.press('Enter')
    await bar(page).waitFor()
    for (const [i, [place, words, there, figure]] of STEPS.entries()) {
      if (i) await page.keyboard.press(i % 2 ? 'ArrowRight' : 'Space')
      await pointed(page, place)
      assert.match(await plain(bar(page)), words, place)
      assert.match(await plain(page.locator(there)), figure, there)
      await page.waitForFunction((n) => location.hash.includes(`tour=${n}`), i + 1)
      assert.match(await page.evaluate(() => location.hash), /country=jp&method=lora.*lab\.r=6/)
    }
    const before = await title(page)
    await page.keyboard.press('ArrowLeft')
    assert.notEqual(await title(page), before)
    await page.keyboard.press('Escape')
    await bar(page).waitFor({ state: 'detached' })
    assert.equal(await page.locator('[data-toured]').count(), 0)
    await page.waitForFunction(() => location.hash === '#v=1&country=jp&method=lora&lab.r=6')
    for (const label of ['Japan', 'LoRA'])
      assert.ok(await page.getByRole('radio', { name: label, exact: true }).first().isChecked())
    assert.ok(
      await page.evaluate(() => document.activeElement !== document.body),
      'the keyboard goes on where the tour was',
    )
    assert.deepEqual(complaints, [])
    await close()
  })

  test('a link opens at a step; controls keep their keys; the setting can be kept', async () => {
    const { page, complaints, close } = await visit('#v=1&tour=6&seed=3')
    await pointed(page, '[data-part=count] .columns')
    const r = page.locator('[data-part=count]').getByRole('slider', { name: 'r', exact: true })
    await r.focus()
    await page.keyboard.press('ArrowRight')
    assert.match(await title(page), /r = 2/, 'the same step')
    assert.match(await plain(page.getByTestId('sum-loha')), /r = 3.*highest rank 9 of/)
    await bar(page).getByRole('button', { name: 'Keep this setting' }).click()
    await page.waitForFunction(() => /lab\.r=3&lab\.mode=budget/.test(location.hash))
    await bar(page).waitFor({ state: 'detached' })
    assert.deepEqual(complaints, [])
    await close()
  })

  test('what is hidden is skipped; a reload stays at its step', async () => {
    const { page, close } = await visit('#v=1&hide=products,budget&tour=1')
    await bar(page).waitFor()
    const all = Number(/of (\d+)/.exec(await title(page))[1])
    const parts = await page.evaluate(() =>
      ['open', 'measure'].filter((part) => document.querySelector(`[data-part=${part}]`)),
    )
    assert.equal(all, 4 + parts.length, 'the names, count and rank twice, SmolLM2')
    await page.keyboard.press('ArrowRight')
    await pointed(page, '[data-part=count] .columns')
    await page.waitForFunction(() => location.hash.includes('tour=5'))
    await page.reload()
    await settled(page)
    await pointed(page, '[data-part=count] .columns')
    assert.match(await title(page), /full rank/)
    await close()
  })

  test('nothing of it comes before it is asked for', async () => {
    const { page, close } = await visit()
    const files = await page.evaluate(() =>
      performance.getEntriesByType('resource').map(({ name }) => name),
    )
    assert.deepEqual(
      files.filter((name) => /Tour|Share|export/i.test(name)),
      [],
    )
    await close()
  })

  for (const locale of ['en', 'ko'])
    for (const colorScheme of ['light', 'dark'])
      for (const width of [360, 1280])
        test(`accessible, ${locale}, ${colorScheme}, ${width} px`, async () => {
          const { page, complaints, close } = await visit('#v=1&tour=3', {
            colorScheme,
            locale,
            viewport: { width, height: 800 },
          })
          await pointed(page, '[data-testid=product-loha]')
          assert.deepEqual(await grave(page), [])
          assert.ok((await overflow(page)) <= 0, 'wider than the window')
          const room = await bar(page).evaluate((bar) => bar.getBoundingClientRect().height)
          assert.ok(room < 400, `half of the window is the page's: ${room}`)
          if (locale === 'ko')
            assert.doesNotMatch(
              (await bar(page).innerText()).replace(/\bLo(RA|Ha|Kr)\b|SmolLM2|Esc/g, ''),
              /[A-Za-z]{3,}/,
            )
          assert.deepEqual(complaints, [])
          await close()
        })
})

test('motion: the page slides to what is near, and the wheel takes it back', async () => {
  const { page, close } = await visit('#v=1&tour=5', { reducedMotion: 'no-preference' })
  await pointed(page, '[data-part=count] .columns')
  await page.mouse.move(600, 200)
  await page.mouse.wheel(0, 400)
  await page.waitForTimeout(500)
  const before = await page.evaluate(() => scrollY)
  await choose(page.locator('[data-part=count]'), 'LyCORIS')
  assert.equal(await page.evaluate(() => scrollY), before)
  await close()
})
