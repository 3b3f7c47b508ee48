// "Open your file" in a real Chromium: its numbers against the library in Node, what it makes, files that
// mean harm, many modules, the keyboard, both languages, axe.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Adapter, Base, init } from 'lokahi'
import { choose, drawn, grave, near, open, overflow, visit as visitPage } from './browser.mjs'
import {
  MARKUP,
  TURN,
  hostile,
  hostilePeft,
  many,
  open as openAlpha,
  square,
} from './open/files.mjs'

const scratch = mkdtempSync(join(tmpdir(), 'lokahi-open-'))
const at = (name) => join(scratch, name)
const fixture = (name) => `./tests/fixtures/adapters/${name}`

let place
before(async () => {
  await init({ device: 'cpu' })
  place = await open({ webgpu: false })
})
after(async () => {
  await place?.close()
  rmSync(scratch, { recursive: true, force: true })
})

/** A page with this part loaded; `part` is its section. */
async function visit(hash = '#v=1', options = {}) {
  const visited = await visitPage(place, hash, { reducedMotion: 'reduce', ...options })
  await near(visited.page, 'open')
  return { ...visited, part: visited.page.locator('[data-part=open]') }
}

const said = async (locator) => (await locator.innerText()).replace(/[\u202f\s]+/g, ' ').trim()
const opened = (part) => part.getByTestId('opened').waitFor({ timeout: 60_000 })
const measured = (page) =>
  page.waitForFunction(
    () => {
      const bar = document.querySelector('[data-part=open] .measuring progress')
      return bar && bar.value === bar.max
    },
    null,
    { timeout: 120_000 },
  )

async function example(page, part, label) {
  await part.getByRole('button', { name: label }).click()
  await opened(part)
  await measured(page)
}
async function pick(part, ...files) {
  await part.locator('.drop input').first().setInputFiles(files)
  await opened(part)
}
/** The cells of a row as they are shown, without the name. */
const cells = async (part, index) =>
  (await part.locator(`[data-module="${index}"] td`).allInnerTexts()).map((text) =>
    text.replace(/[\u202f\s]+/g, ' ').trim(),
  )
/** Three digits, as the page writes numbers. */
const short = (n) => n.toFixed(Math.max(0, 2 - Math.floor(Math.log10(Math.abs(n)))))
const names = (part) => part.locator('tbody th bdi').allInnerTexts()
async function saved(page, button) {
  const [download] = await Promise.all([page.waitForEvent('download'), button.click()])
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) }
}
const made = (part) => part.getByTestId('made').waitFor({ timeout: 60_000 })
const mark = (part, text) =>
  part.getByTestId('actions').getByRole('button', { name: text, exact: true })

describe('what is in a file', () => {
  for (const [label, folder] of [
    ['Finland, LoRA', 'places/adapters/fi-lora'],
    ['SmolLM2, LoKr', 'smollm2/lokr'],
  ])
    test(`${label}: counts, ranks, norms and a spectrum as the library has them`, async () => {
      const { page, part, complaints, close } = await visit()
      await example(page, part, label)
      const adapter = await Adapter.load(`./www/public/${folder}/`)
      const report = adapter.inspect()
      const facts = await said(part.getByTestId('opened').locator('dl').first())
      const grouped = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ' ')
      assert.match(facts, new RegExp(`Format ${report.format} Methods ${report.methods[0]}`))
      assert.match(
        facts,
        new RegExp(`Modules ${report.modules.length} Numbers ${grouped(report.parameters)} `),
      )
      assert.match(facts, new RegExp(`\\(${grouped(report.bytes)} bytes\\)`))

      let squares = 0
      for (const [index, module] of adapter.modules.entries()) {
        const spectrum = await adapter.spectrum(module.name)
        squares += spectrum.frobeniusNorm ** 2
        if (index > 12) continue
        assert.deepEqual((await cells(part, index)).slice(0, 11), [
          module.method,
          module.shape.map(grouped).join(' × '),
          String(module.rank),
          String(module.alpha),
          String(module.scale),
          grouped(module.parameters),
          String(module.rankBound),
          String(spectrum.numericalRank),
          short(spectrum.stableRank),
          short(spectrum.entropyRank),
          short(spectrum.frobeniusNorm),
        ])
      }
      assert.match(facts, new RegExp(`of all ${short(Math.sqrt(squares))}`))

      const [first] = adapter.modules
      const { singularValues } = await adapter.spectrum(first.name)
      await part.locator('[data-module="0"] button').click()
      const detail = part.getByTestId('detail')
      await detail.locator('summary').click()
      const rows = await detail.locator('tbody tr').allInnerTexts()
      assert.equal(rows.length, singularValues.length)
      for (const [i, row] of rows.slice(0, 100).entries())
        assert.equal(row.split(/\s+/)[1], short(singularValues[i]), `σ ${i + 1}`)

      // the line in the row: 4 decades on 20 pixels
      const d = await part.locator('[data-module="0"] .spark path').getAttribute('d')
      const points = d
        .slice(1)
        .split('L')
        .map((pair) => pair.split(' ').map(Number))
      const last = Math.min(4, -Math.log10(singularValues.at(-1) / singularValues[0]))
      assert.ok(Math.abs(points[0][1] - 2) < 0.06)
      assert.ok(Math.abs(points.at(-1)[1] - (2 + last * 5)) < 0.06)
      assert.deepEqual(complaints, [])
      await close()
    })

  test('energy by layer and kind sums as the norms do', async () => {
    const { page, part, close } = await visit()
    await example(page, part, 'Italy, LoHa')
    const energy = part.getByTestId('energy')
    await energy.locator('summary').click()
    assert.equal(await energy.locator('figure').count(), 7)
    const adapter = await Adapter.load('./www/public/places/adapters/it-loha/')
    const layers = [0, 0, 0, 0]
    for (const { name } of adapter.modules)
      layers[/layers\.(\d)/.exec(name)[1]] += (await adapter.spectrum(name)).frobeniusNorm ** 2
    const total = layers.reduce((a, b) => a + b)
    const rows = await energy.locator('tbody tr').allInnerTexts()
    assert.deepEqual(
      rows.map((row) => /([\d.]+) %$/.exec(row)[1]),
      layers.map((sum) => ((100 * sum) / total).toFixed(1)),
    )
    const [q] = adapter.modules.filter(({ name }) => name.endsWith('layers.0.self_attn.q_proj'))
    const column = (await energy.locator('thead th').allInnerTexts()).indexOf('self_attn.q_proj')
    const { frobeniusNorm } = await adapter.spectrum(q.name)
    assert.equal(rows[0].split('\t')[column], short(frobeniusNorm))
    await close()
  })

  test('sorted by each column, searched, in the address, exported', async () => {
    const { page, part, close } = await visit()
    await example(page, part, 'Finland, LoRA')
    const { modules } = await Adapter.load('./www/public/places/adapters/fi-lora/')
    const header = (name) => part.getByRole('columnheader', { name })
    await header('numbers').getByRole('button').click()
    assert.equal(await header('numbers').getAttribute('aria-sort'), 'descending')
    const most = Math.max(...modules.map(({ parameters }) => parameters))
    const numbers = async () =>
      (await part.locator('tbody tr td:nth-child(7)').allInnerTexts()).map((text) =>
        Number(text.replace(/\D/g, '')),
      )
    const descending = await numbers()
    assert.equal(descending[0], most)
    assert.deepEqual(
      descending,
      [...descending].sort((a, b) => b - a),
    )
    await header('numbers').getByRole('button').click()
    assert.equal(await header('numbers').getAttribute('aria-sort'), 'ascending')
    const ascending = await numbers()
    assert.deepEqual(
      ascending,
      [...ascending].sort((a, b) => a - b),
    )
    await header('numbers').getByRole('button').click()
    assert.equal(await header('numbers').getAttribute('aria-sort'), 'none')
    assert.equal((await names(part))[0], modules[0].name)
    await header('‖ΔW‖').getByRole('button').click()
    const norms = (await part.locator('tbody tr td:nth-child(12)').allInnerTexts()).map(Number)
    assert.ok(norms.length > 10)
    assert.deepEqual(
      norms,
      [...norms].sort((a, b) => b - a),
    )

    await part.getByRole('searchbox').fill('layers.2 V_PROJ')
    assert.deepEqual(await names(part), ['model.layers.2.self_attn.v_proj'])
    assert.match(await said(part.locator('.measuring')), /1 of 28 modules/)
    const csv = await saved(page, part.getByRole('button', { name: 'Table as CSV' }))
    const lines = csv.bytes.toString().trim().split('\r\n')
    assert.equal(lines.length, 2)
    assert.match(lines[1], /^model\.layers\.2\.self_attn\.v_proj,LoRA,64,128,4,8,2,768,4,/)
    const json = await saved(page, part.getByRole('button', { name: 'All as JSON' }))
    const report = JSON.parse(json.bytes)
    assert.equal(report.modules.length, 28)
    assert.equal(report.measures.length, 28)
    assert.equal(report.measures[0].singularValues.length, 4)

    await page.waitForFunction(() => location.hash.includes('open.search'))
    const hash = await page.evaluate(() => location.hash)
    assert.match(hash, /open\.search=layers\.2\+V_PROJ&open\.sort=norm&open\.descending=true/)
    await part.getByRole('searchbox').fill('nothing has this')
    assert.match(await said(part.locator('tbody')), /No module has these words/)
    await close()
  })

  test('both readings: no alpha, a whole LoKr, an axis of DoRA', async () => {
    const { page, part, complaints, close } = await visit()
    openAlpha(at('open.safetensors'))
    await pick(part, at('open.safetensors'))
    await measured(page)
    const warnings = part.getByTestId('warnings')
    assert.match(
      await said(warnings.locator('[data-warning=NoAlpha]')),
      /alpha = rank.*Other reading/,
    )
    assert.match(
      await said(warnings.locator('[data-finding=NotANumber]')),
      /1 in .*v_proj\.lora_up/,
    )
    assert.equal((await cells(part, 1)).at(-1), 'NotANumber')
    const norm = Number((await cells(part, 0))[10])
    await warnings.getByRole('spinbutton').fill('8')
    await warnings.getByRole('button', { name: 'Read it so' }).click()
    await warnings.getByText('alpha = 8, as you set it').waitFor()
    await measured(page)
    const [, , , alpha, scale, , , , , , twice] = await cells(part, 0)
    assert.deepEqual([alpha, scale], ['8', '2'])
    assert.ok(Math.abs(Number(twice) / norm - 2) < 0.01)
    assert.match(await part.locator('pre').first().textContent(), /--alpha 8/)
    await warnings.getByRole('button', { name: 'Back to the usual reading' }).click()
    await warnings.locator('[data-warning=NoAlpha]').waitFor()

    await pick(part, `${fixture('lycoris-lokr-full')}/adapter.safetensors`)
    await warnings.locator('[data-warning=WholeLokr]').waitFor()
    await warnings.getByRole('spinbutton').fill('2')
    await warnings.getByRole('button', { name: 'Read it so' }).click()
    await warnings.getByText('read with r = 2').waitFor()
    const conventions = { wholeLokrRank: 2 }
    const file = `${fixture('lycoris-lokr-full')}/adapter.safetensors`
    const { modules } = await Adapter.load(file, { conventions })
    assert.equal(Number((await cells(part, 0))[4]), modules[0].scale)
    assert.notEqual(modules[0].scale, 1)

    square(at('square.safetensors'))
    await pick(part, at('square.safetensors'))
    await warnings.locator('[data-warning=DoraAxis]').waitFor()
    await warnings.getByRole('button', { name: 'Read for the inputs' }).click()
    await warnings.getByText('read for the inputs, as you set it').waitFor()
    assert.equal(await warnings.locator('[data-warning]').count(), 0)
    assert.match(
      await part.locator('pre').last().textContent(),
      /conventions: \{ doraAxis: 'in' \}/,
    )
    assert.deepEqual(complaints, [])
    await close()
  })
})

describe('what is made', () => {
  /** Files by name as the buttons save them. */
  async function files(page, part) {
    const found = {}
    for (const button of await part
      .getByTestId('made')
      .getByRole('button', { name: /^Save \S+\./ })
      .all()) {
      const { name, bytes } = await saved(page, button)
      found[name] = bytes
    }
    return found
  }
  const same = (got, expected) => {
    assert.deepEqual(Object.keys(got).sort(), Object.keys(expected).sort())
    for (const [name, bytes] of Object.entries(expected))
      assert.ok(Buffer.from(bytes).equals(got[name]), `${name} differs`)
  }

  test('converted to LyCORIS and to GGUF: the bytes of the library in Node', async () => {
    const { page, part, complaints, close } = await visit()
    await example(page, part, 'Finland, LoRA')
    const adapter = await Adapter.load('./www/public/places/adapters/fi-lora/')
    await choose(part.getByTestId('actions'), 'F16')
    await mark(part, 'Convert').click()
    await made(part)
    same(await files(page, part), (await adapter.save('lycoris', { dtype: 'F16' })).files)

    await choose(part.getByTestId('actions'), 'GGUF')
    await choose(part.getByTestId('actions'), 'F32')
    await mark(part, 'Convert').click()
    await part.getByRole('alert').waitFor()
    assert.match(await said(part.getByRole('alert')), /base: expected one.*BadArgument/)
    await mark(part, 'the town model of this page').click()
    await mark(part, 'Convert').click()
    await made(part)
    const base = await Base.load('./www/public/places/base/')
    const expected = await adapter.save('gguf', { dtype: 'F32', base })
    same(await files(page, part), expected.files)
    // the names of the base are those of another adapter
    assert.equal((await names(part))[0], adapter.modules[0].name)
    const lines = await part.locator('pre').allTextContents()
    assert.match(
      lines[0],
      /npx lokahi convert \.\/www\/public\/places\/adapters\/fi-lora --to gguf --base/,
    )
    assert.match(lines[1], /adapter\.save\('gguf', \{ base \}\)/)
    assert.deepEqual(complaints, [])
    await close()
  })

  test('resized by rank and by energy: the bytes of the library; opened here again', async () => {
    const { page, part, complaints, close } = await visit()
    await example(page, part, 'Italy, LoHa')
    const adapter = await Adapter.load('./www/public/places/adapters/it-loha/')
    const actions = part.getByTestId('actions')
    await choose(actions, 'Resize')
    await actions.getByRole('spinbutton', { name: 'Rank' }).fill('3')
    await mark(part, 'Resize').click()
    await made(part)
    const expected = await adapter.resize({ rank: 3, format: 'peft', dtype: 'F32' })
    same(await files(page, part), expected.files)
    const kept = expected.modules.reduce((s, m) => s + m.retainedEnergy * m.frobeniusNorm ** 2, 0)
    const all = expected.modules.reduce((s, m) => s + m.frobeniusNorm ** 2, 0)
    const summary = await said(part.getByTestId('made'))
    assert.ok(
      summary.includes(`became 3; of all energy ${((100 * kept) / all).toFixed(2)} %`),
      summary,
    )

    await choose(actions, 'a share of the energy')
    await actions.getByRole('spinbutton', { name: 'Energy' }).fill('80')
    await mark(part, 'Resize').click()
    await made(part)
    same(
      await files(page, part),
      (await adapter.resize({ energy: 0.8, format: 'peft', dtype: 'F32' })).files,
    )
    await choose(actions, 'a rank')
    await mark(part, 'Resize').click()
    await made(part)
    await mark(part, 'Open it here').click()
    await part.getByRole('heading', { name: 'resize-peft' }).waitFor()
    await measured(page)
    assert.equal((await cells(part, 0))[0], 'LoRA')
    for (let i = 0; i < 10; i++) assert.equal((await cells(part, i))[2], '3')
    assert.deepEqual(complaints, [])
    await close()
  })

  test('cancelled, and made again', async () => {
    const { page, part, complaints, close } = await visit()
    many(at('many.safetensors'), 700, { out: 320, input: 320 })
    await pick(part, at('many.safetensors'))
    await choose(part.getByTestId('actions'), 'Resize')
    await mark(part, 'Resize').click()
    await mark(part, 'Cancel').click()
    await part.getByTestId('actions').getByText('Cancelled.').waitFor()
    assert.equal(await part.getByTestId('made').count(), 0)
    await mark(part, 'Resize').click()
    await made(part)
    assert.deepEqual(complaints, [])
    await close()
  })

  test('into a folder that the visitor picks', async () => {
    const { page, part, close } = await visit()
    // The picker itself needs a person: the page's private folder is a folder too.
    await page.evaluate(() => (window.showDirectoryPicker = () => navigator.storage.getDirectory()))
    await example(page, part, 'Korea, LoKr')
    await choose(part.getByTestId('actions'), 'PEFT')
    await mark(part, 'Convert').click()
    await made(part)
    await mark(part, 'Save into a folder').click()
    await part.getByText('Saved.').waitFor()
    const sizes = await page.evaluate(async () => {
      const found = {}
      const folder = await navigator.storage.getDirectory()
      for await (const [name, handle] of folder.entries())
        found[name] = (await handle.getFile()).size
      return found
    })
    const adapter = await Adapter.load('./www/public/places/adapters/kr-lokr/')
    const expected = Object.entries((await adapter.save('peft')).files)
    assert.deepEqual(
      sizes,
      Object.fromEntries(expected.map(([name, bytes]) => [name, bytes.length])),
    )
    await close()
  })
})

describe('files that mean harm, and none', () => {
  test('markup and turning marks in every name are text', async () => {
    const { page, part, complaints, close } = await visit()
    const { bad, worse } = hostile(at('hostile.safetensors'))
    const name = `<img src=x onerror=window.hacked=3>${TURN}.safetensors`
    const file = {
      name,
      mimeType: 'application/octet-stream',
      buffer: readFileSync(at('hostile.safetensors')),
    }
    await pick(part, file)
    await measured(page)
    for (const summary of await part.locator('summary').all()) await summary.click()
    for (const row of await part.locator('tbody th button').all()) await row.click()
    const text = await part.innerText()
    assert.ok(text.includes('<img src=x onerror=window.hacked=3>\\u202egnp.exe'), 'the file')
    assert.ok(text.includes(`${MARKUP}`), 'metadata')
    assert.ok(text.includes('\\u202egnp.exe'), 'marks')
    const titles = await part
      .locator('tbody th button')
      .evaluateAll((all) => all.map(({ title }) => title))
    const shown = (text) => text.replaceAll('\u202e', '\\u202e')
    assert.deepEqual(titles.sort(), [shown(bad), worse].sort())
    assert.ok(!/[\u202a-\u202e\u2066-\u2069]/.test(await part.innerHTML()))
    const csv = await saved(page, part.getByRole('button', { name: 'Table as CSV' }))
    assert.match(csv.bytes.toString(), /^'=cmd/m)

    hostilePeft(at('peft'))
    await pick(
      part,
      join(at('peft'), 'adapter_config.json'),
      join(at('peft'), 'adapter_model.safetensors'),
    )
    await part.locator('[data-warning=TargetWithoutTensors]').waitFor()
    assert.ok((await part.innerText()).includes('<b onmouseover=alert(1)>q'))
    assert.equal(await part.locator('img, script, b').count(), 0)
    assert.equal(await page.evaluate(() => window.hacked), undefined)
    assert.deepEqual(complaints, [])
    await close()
  })

  test('what cannot be opened is told, and what was open stays', async () => {
    const { page, part, complaints, close } = await visit()
    await example(page, part, 'Finland, LoRA')
    const input = part.locator('.drop input').first()
    const alert = part.getByRole('alert')
    const buffer = (text) => ({ mimeType: '', buffer: Buffer.from(text) })
    await input.setInputFiles({ name: 'a.safetensors', ...buffer('no header at all') })
    assert.match(await said(alert), /a\.safetensors could not be opened.*Code BadFile/)
    assert.equal(await part.getByRole('heading', { name: 'fi-lora' }).count(), 1)
    await input.setInputFiles({ name: 'notes.json', ...buffer('{}') })
    await part.getByText('No adapter among these').waitFor()
    const model = './www/public/places/base/model.safetensors'
    await input.setInputFiles(model)
    await part.getByText('model.safetensors could not be opened').waitFor()
    // two adapters at once: a choice
    const two = ['lycoris-loha', 'lycoris-lokr'].map((name) => ({
      name: `${name}.safetensors`,
      mimeType: '',
      buffer: readFileSync(`${fixture(name)}/adapter.safetensors`),
    }))
    await input.setInputFiles(two)
    await part.getByRole('button', { name: 'lycoris-lokr.safetensors' }).click()
    await part.getByRole('heading', { name: 'lycoris-lokr.safetensors' }).waitFor()
    assert.deepEqual(complaints, [])
    await close()
  })
})

describe('the network', () => {
  test('a linked address is not asked for until the press, and only two hosts may be', async () => {
    const asked = []
    const { page, part, close } = await visit('#v=1&open.address=some%2Fone')
    // Of workers too.
    await page.context().route(/huggingface/, (route) => {
      asked.push(route.request().url())
      return route.abort()
    })
    const address = part.getByRole('textbox')
    assert.equal(await address.inputValue(), 'some/one')
    assert.match(
      await said(part.locator('form').first()),
      /Will be asked of huggingface\.co when you press/,
    )
    await example(page, part, 'Finland, LoRA')
    assert.deepEqual(asked, [])
    const fetch = part.getByRole('button', { name: 'Fetch' })
    await fetch.click()
    await part.getByText('some/one could not be opened').waitFor()
    assert.ok(
      asked.length > 0 &&
        asked.every((url) => url.startsWith('https://huggingface.co/some/one/resolve/main/')),
    )
    for (const url of [
      'https://example.com/a.safetensors',
      'https://huggingface.co.example.com/x/',
      'javascript:alert(1)',
      'file:///etc/',
    ]) {
      await address.fill(url)
      assert.ok(await fetch.isDisabled(), url)
    }
    await address.fill('./smollm2/loha/')
    assert.match(await said(part.locator('form').first()), /this server, 127\.0\.0\.1/)
    await fetch.click()
    await part.getByRole('heading', { name: './smollm2/loha/' }).waitFor()
    await close()
  })

  test('a dropped file leaves nothing behind', async () => {
    const { page, part, complaints, close } = await visit()
    await drawn(page)
    const requests = []
    page.context().on('request', (request) => requests.push(`${request.method()} ${request.url()}`))
    const bytes = [...readFileSync(`${fixture('lycoris-loha')}/adapter.safetensors`)]
    const drop = await page.evaluateHandle((bytes) => {
      const data = new DataTransfer()
      data.items.add(new File([new Uint8Array(bytes)], 'mine.safetensors'))
      return data
    }, bytes)
    await part.getByTestId('drop').dispatchEvent('drop', { dataTransfer: drop })
    await part.getByRole('heading', { name: 'mine.safetensors' }).waitFor()
    await measured(page)
    const of = (request) => request.split(place.url)[1]
    // nothing but the code of the page, and nothing that could carry a file
    for (const request of requests)
      assert.match(of(request) ?? request, /^assets\/[\w.-]+\.(js|wasm|css)$/)
    assert.ok(requests.every((request) => request.startsWith('GET ')))
    assert.match(await said(part), /Nothing leaves your machine/)
    assert.deepEqual(complaints, [])
    await close()
  })
})

test('700 modules: time, the longest task, smooth scrolling, few rows', async () => {
  many(at('many.safetensors'), 700, { out: 320, input: 320 })
  const { page, part, complaints, close } = await visit()
  await page.evaluate(() => {
    window.tasks = []
    new PerformanceObserver((list) =>
      window.tasks.push(...list.getEntries().map((e) => e.duration)),
    ).observe({
      entryTypes: ['longtask'],
    })
  })
  await example(page, part, 'Finland, LoRA') // the worker is there
  await page.evaluate(() => (window.tasks.length = 0))
  const start = performance.now()
  await part.locator('.drop input').first().setInputFiles(at('many.safetensors'))
  // by selectors of CSS: looking for roles is work for the page too
  await part.locator('h3', { hasText: 'many.safetensors' }).waitFor()
  await part.locator('[data-module="0"]').waitFor()
  const table = performance.now() - start
  const frames = await page.evaluate(async () => {
    const place = document.querySelector('[data-part=open] .place')
    const times = []
    let last = performance.now()
    for (let i = 0; i < 120; i++) {
      place.scrollTop = (i * 211) % (place.scrollHeight - place.clientHeight)
      await new Promise(requestAnimationFrame)
      times.push(performance.now() - last)
      last = performance.now()
    }
    return times.sort((a, b) => a - b)
  })
  await measured(page)
  const all = performance.now() - start
  const longest = await page.evaluate(() => Math.max(0, ...window.tasks))
  console.log(
    `700 modules: table after ${table.toFixed(0)} ms, all measured after ${(all / 1000).toFixed(1)} s, longest task ${longest.toFixed(0)} ms; frames while scrolling and measuring: median ${frames[60].toFixed(1)} ms, longest ${frames[119].toFixed(0)} ms`,
  )
  assert.ok((await part.locator('tbody tr[data-module]').count()) < 60)
  assert.equal(await part.locator('table').first().getAttribute('aria-rowcount'), '701')
  // The aim is 100; machines of tests are slow and shared.
  assert.ok(longest < 400, `${longest}`)
  assert.ok(frames[60] < 50, `${frames[60]}`)

  // stopped, and gone on from there
  await part.locator('.drop input').first().setInputFiles(at('many.safetensors'))
  await part.getByRole('button', { name: 'Stop', exact: true }).click()
  await part.getByRole('button', { name: 'Go on' }).click()
  await measured(page)
  assert.deepEqual(complaints, [])
  await close()
})

test('by the keyboard alone', async () => {
  const { page, part, close } = await visit()
  const focus = () => page.evaluate(() => document.activeElement.textContent.trim())
  const tabTo = async (text) => {
    for (let i = 0; i < 80; i++) {
      if ((await focus()).startsWith(text)) return
      await page.keyboard.press('Tab')
    }
    assert.fail(`${text} is not reached`)
  }
  await part.locator('.drop input').first().focus()
  await tabTo('Korea, LoKr')
  await page.keyboard.press('Enter')
  await opened(part)
  await measured(page)
  await page.waitForFunction(() =>
    /measured/.test(document.querySelector('[data-part=open] [role=status]').textContent),
  )
  await tabTo('rank')
  await page.keyboard.press('Enter')
  assert.equal(
    await part.getByRole('columnheader', { name: 'rank', exact: true }).getAttribute('aria-sort'),
    'descending',
  )
  await tabTo('model.layers.')
  await page.keyboard.press('Space')
  await part.getByTestId('detail').waitFor()
  await tabTo('The same as a table')
  await part.getByTestId('actions').getByRole('radio', { name: 'Convert' }).focus()
  await page.keyboard.press('ArrowRight')
  await part.getByRole('spinbutton', { name: 'Rank' }).waitFor()
  await tabTo('Resize')
  await page.keyboard.press('Enter')
  await made(part)
  await close()
})

test('Korean: no English left over', async () => {
  const { page, part, complaints, close } = await visit('#v=1&lang=ko')
  await part.locator('ul.plain button').last().click()
  await opened(part)
  await measured(page)
  await part.locator('[data-module="0"] button').click()
  await part.getByRole('radio', { name: '줄이기' }).check()
  await part.getByRole('button', { name: '줄이기' }).click()
  await made(part)
  for (const summary of await part.locator('summary').all()) await summary.click()
  const text = await part.evaluate((part) => {
    const found = []
    const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT)
    while (texts.nextNode())
      if (!texts.currentNode.parentElement.closest('[lang=en], [translate=no], h3 bdi'))
        found.push(texts.currentNode.data)
    return found.join(' ')
  })
  const known =
    'LoRA|LoHa|LoKr|PEFT|LyCORIS|GGUF|DoRA|JSON|JavaScript|Node|ComfyUI|Hub|kohya|diffusers|safetensors|gguf|huggingface|' +
    'adapter_config|adapter_model|json|config|model|owner|name|revision|rank|alpha|scale|layers|mlp|self_attn|\\w+_proj'
  assert.doesNotMatch(text, new RegExp(`\\b(?!(?:${known})(?![A-Za-z]))[A-Za-z]{4,}`))
  assert.deepEqual(complaints, [])
  await close()
})

for (const colorScheme of ['light', 'dark'])
  for (const width of [360, 1280])
    test(`accessible, ${colorScheme}, ${width} px`, async () => {
      const { page, part, close } = await visit('#v=1', {
        colorScheme,
        viewport: { width, height: 900 },
      })
      await example(page, part, 'SmolLM2, LoRA')
      await part.locator('[data-module="0"] button').click()
      await choose(part.getByTestId('actions'), 'Resize')
      await mark(part, 'Resize').click()
      await made(part)
      for (const summary of await part.locator('summary').all()) await summary.click()
      assert.deepEqual(await grave(page), [])
      assert.ok((await overflow(page)) <= 0, 'wider than the window')
      await close()
    })
