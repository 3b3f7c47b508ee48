// What a link leaves out, a part in a frame of another page, sharing, and every control in the address.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { runnerImport } from 'vite'
import { serve } from '../../scripts/serve.mjs'
import { grave, near, open, overflow, settled, visit } from './browser.mjs'
import { path } from './lab/source.mjs'

let place
before(async () => (place = await open({ webgpu: false })))
after(() => place?.close())

const LAB = ['products', 'count', 'budget']
const shown = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll('[data-part], [data-frame]')]
      .filter((part) => part.checkVisibility())
      .map((part) => part.dataset.part ?? part.localName),
  )

/** Every setting at a value that is not its usual one. */
const FULL =
  '#v=1&country=it&method=lora&strength=0.5&temperature=0.4&seed=12&start=Ka%2C&merged=true&device=cpu' +
  '&weight=model.layers.2.mlp.up_proj&prompt=A+king&chat=true&lora=0.5&loha=0.6&lokr=0.7&compare=loha' +
  '&lang=ko&theme=dark&hide=where,seed,lab.dice&embed=count&tour=4' +
  '&lab.out=640&lab.in=320&lab.r=6&lab.mode=budget&lab.convention=lycoris&lab.factor=8&lab.both=true' +
  '&lab.whole=true&lab.r1=2&lab.r2=5&lab.threshold=-3.4&lab.model=sd15&lab.target=all&lab.bytes=0.5' +
  '&lab.states=1&lab.width=8&lab.prefix=9&lab.source=picture&lab.picture=plaid&lab.size=32&lab.layers=3' +
  '&lab.dice=5&lab.built=0.5&lab.row=1&lab.col=2&lab.sweep=jp&lab.only=loha' +
  '&open.address=owner%2Fname&open.search=q_proj&open.sort=norm&open.descending=true'

const isGroup = (value) => Object.getPrototypeOf(value ?? []) === Object.prototype

test('every setting goes through the address and back', async () => {
  const { module } = await runnerImport(path('../../../www/src/state/settings.ts'), {
    configFile: false,
  })
  const { DEFAULTS, fromHash, toHash } = module
  const settings = fromHash(FULL)
  for (const [keys, usual] of [
    [settings, DEFAULTS],
    [settings.lab, DEFAULTS.lab],
    [settings.open, DEFAULTS.open],
    [settings.mix, DEFAULTS.mix],
  ])
    for (const key of Object.keys(usual).filter((key) => !isGroup(usual[key])))
      assert.notDeepEqual(keys[key], usual[key], `${key} is not in the test's address`)
  assert.deepEqual(fromHash(toHash(settings)), settings)
  assert.equal(toHash(settings).replaceAll(',', '%2C'), FULL.replaceAll(',', '%2C'))
  assert.equal(toHash(fromHash('#v=1&hide=<b>,*,a"b&embed=none&tour=x&theme=pink')), '#v=1&tour=1')
})

test('every control of the page changes the address, and a reload brings its value back', async () => {
  const { page, complaints, close } = await visit(place, '#v=1&country=fi&lab.convention=lycoris', {
    reducedMotion: 'reduce',
  })
  for (const part of LAB) await near(page, part)
  /** The n-th control: what it is and its value; then set to another one. */
  const control = (n, change) =>
    page.evaluate(
      ([n, change]) => {
        const kinds =
          'main :is(fieldset, input:not([type=radio]):not([type=file]), select), header fieldset, .scroll:has([type=radio])'
        const all = [...document.querySelectorAll(kinds)].filter(
          (c) => !c.closest('[data-part=open], [data-part=measure]') && c.checkVisibility(),
        )
        const c = all[n]
        if (!c) return null
        const radios = [...c.querySelectorAll('[type=radio]')]
        const read = () =>
          radios.length
            ? radios.find((r) => r.checked)?.value
            : c.type === 'checkbox'
              ? String(c.checked)
              : c.value
        const name =
          c.closest('[data-control]')?.dataset.control ??
          c.querySelector('legend')?.textContent ??
          c.getAttribute('aria-label') ??
          c.labels?.[0]?.textContent
        if (!change) return { name, value: read(), disabled: c.disabled ?? false }
        const tell = (kind) => c.dispatchEvent(new Event(kind, { bubbles: true }))
        if (radios.length) radios.findLast((r) => !r.checked).click()
        else if (c.type === 'checkbox') c.click()
        else if (c.localName === 'select') {
          c.selectedIndex = (c.selectedIndex + 1) % c.options.length
          tell('change')
        } else if (c.type === 'text') {
          c.value = 'Ka'
          tell('input')
        } else {
          const step = Number(c.step) || 1
          c.value = String(
            Number(c.value) + (Number(c.value) + step <= Number(c.max) ? step : -step),
          )
          tell('input')
        }
        return { name, value: read() }
      },
      [n, change],
    )
  const walked = []
  for (let n = 0; ; n++) {
    const usual = await control(n, false)
    if (!usual) break
    if (usual.disabled) continue
    const hash = await page.evaluate(() => location.hash)
    const { name, value } = await control(n, true)
    assert.notEqual(value, usual.value, `${name} did not change`)
    await page
      .waitForFunction((hash) => location.hash !== hash, hash, { timeout: 3000 })
      .catch(() => assert.fail(`${name} is not in the address`))
    walked.push({ n, name, value })
  }
  assert.ok(walked.length > 30, `${walked.length} controls`)
  // A setting may take the place of another's control: each is looked at by its own name after a reload.
  await page.reload()
  await settled(page)
  for (const part of LAB) await near(page, part)
  const now = new Map()
  for (let n = 0; ; n++) {
    const found = await control(n, false)
    if (!found) break
    now.set(`${n} ${found.name}`, found.value)
  }
  // Two of the parts have the same setting: the last change of it counts.
  const last = new Map(walked.map((control) => [control.name, control]))
  const lost = [...last.values()].filter(({ n, name, value }) => now.get(`${n} ${name}`) !== value)
  // The last of a group that shows other controls decides which are there.
  assert.deepEqual(
    lost.filter(({ n, name }) => now.has(`${n} ${name}`)),
    [],
  )
  assert.deepEqual(complaints, [])
  await close()
})

describe('what a link leaves out', () => {
  test('parts and controls, also those that come later; the rest stays', async () => {
    const { page, complaints, close } = await visit(
      place,
      '#v=1&hide=inside,count,seed,lab.dice,nonsense&country=it',
    )
    const parts = await shown(page)
    for (const part of ['inside', 'count']) assert.ok(!parts.includes(part), part)
    for (const part of ['play', 'methods', 'products', 'smollm2'])
      assert.ok(parts.includes(part), part)
    assert.ok(!(await page.getByRole('spinbutton', { name: 'Seed' }).isVisible()))
    await near(page, 'products')
    assert.ok(!(await page.getByRole('spinbutton', { name: 'Dice' }).isVisible()))
    assert.ok(await page.getByRole('slider', { name: 'Size' }).isVisible())
    assert.equal(await page.locator('[data-part=count] h2').count(), 0, 'not fetched either')
    assert.ok((await overflow(page)) <= 0)
    assert.deepEqual(complaints, [])
    await close()
  })
})

describe('in another page', () => {
  let other, folder
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lokahi-frame-'))
    other = await serve(folder, { port: 0 })
  })
  after(async () => {
    await other?.close()
    await rm(folder, { recursive: true })
  })

  test('each part is shown alone in a frame, with its setting, and leads to the whole page', async () => {
    const context = await place.browser.newContext({ locale: 'en', reducedMotion: 'reduce' })
    const page = await context.newPage()
    const complaints = []
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(String(error)))
    for (const [part, setting, text] of [
      ['play', '&country=fi', /numbers did that/],
      ['inside', '&country=fi', /Singular values/],
      ['methods', '', /What each method stores/],
      ['products', '&lab.layers=3', /See the products/],
      ['count', '&lab.out=768&lab.in=768&lab.r=8', /12.288/],
      ['budget', '', /What a budget buys/],
      ['smollm2', '', /Load the model/],
    ]) {
      const source = `${place.url}#v=1&embed=${part}${setting}`.replaceAll('&', '&amp;')
      await writeFile(
        join(folder, `${part}.html`),
        `<!doctype html><title>x</title><link rel="icon" href="data:,"><iframe src="${source}" width="900" height="1200"></iframe>`,
      )
      await page.goto(`${other.url}${part}.html`)
      const frame = page.frame({ url: new RegExp(`embed=${part}`) }) ?? page.frames()[1]
      await frame.waitForFunction(
        (text) => new RegExp(text, 's').test(document.body.innerText),
        text.source,
      )
      assert.deepEqual(await shown(frame), [part])
      const whole = frame.getByRole('link', { name: /whole page/ })
      assert.equal(await whole.getAttribute('href'), `#v=1${setting}`)
    }
    assert.deepEqual(complaints, [])
    await context.close()
  })

  test('a part alone is accessible, and fetches no model that it does not need', async () => {
    const context = await place.browser.newContext({ locale: 'ko-KR', colorScheme: 'dark' })
    const page = await context.newPage()
    const fetched = []
    page.on('request', (request) => fetched.push(request.url()))
    await page.goto(`${place.url}#v=1&embed=count`)
    await page.locator('[data-part=count] h2').waitFor()
    assert.deepEqual(await grave(page), [])
    assert.deepEqual(
      fetched.filter((url) => url.includes('/places/')),
      [],
    )
    await context.close()
  })
})

describe('sharing', () => {
  test('a link for a class, a frame, back to the link, and over', async () => {
    const { page, complaints, close } = await visit(place, '#v=1&country=it&lab.r=6')
    await page.getByRole('radio', { name: 'Poland' }).first().check()
    await page.getByText('For a class, or in your own page').click()
    await page.getByRole('checkbox', { name: 'Count and rank' }).check()
    await page.getByRole('checkbox', { name: 'Seed' }).check()
    const link = await page.getByRole('textbox', { name: 'Link' }).inputValue()
    assert.equal(link, `${place.url}#v=1&country=pl&hide=count,seed&lab.r=6`)
    await page.getByRole('combobox', { name: 'Part' }).selectOption('What a budget buys')
    const frame = await page.getByRole('textbox', { name: 'Frame' }).inputValue()
    assert.match(
      frame,
      /^<iframe src="[^"]*#v=1&amp;country=pl&amp;embed=budget&amp;lab\.r=6" title=/,
    )
    assert.deepEqual(await grave(page), [])
    await page.getByRole('button', { name: 'Back to the link' }).click()
    assert.ok(await page.getByRole('radio', { name: 'Italy' }).first().isChecked())
    await page.getByRole('button', { name: 'Start over' }).click()
    await page.waitForFunction(() => location.hash === '#v=1')
    assert.deepEqual(complaints, [])
    await close()
  })
})
