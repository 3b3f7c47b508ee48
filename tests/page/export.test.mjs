// What the panels give away: files of numbers and figures, and code that runs.
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { runnerImport } from 'vite'
import { grave, names, near, open, overflow, settled, visit } from './browser.mjs'
import { path } from './lab/source.mjs'

const read = (name) =>
  runnerImport(path(`../../../www/src/${name}.ts`), { configFile: false }).then(
    ({ module }) => module,
  )
const { code, PLACES, SMOLLM2 } = await read('export/code')
const { toCsv } = await read('export/tables')
const { fromHash } = await read('state/settings')

const PANELS = ['play', 'inside', 'methods', 'products', 'count', 'budget', 'measure', 'smollm2']
const SETTINGS = [
  '#v=1',
  '#v=1&country=it&method=loha&strength=0.5&start=K%22%5C%0A&merged=true&seed=4&lab.source=adapter',
  '#v=1&lab.convention=lycoris&lab.whole=true&lab.both=true&lab.factor=8&lab.mode=budget&lab.r=3',
  '#v=1&lab.source=picture&lab.only=lokr&prompt=He+said+%22no%22&chat=true&lora=0.3',
].map(fromHash)
const PAGE = 'https://example.org/lokahi/'

/** A folder within the package, so that `import 'lokahi'` is this one. */
let folder
before(() => {
  const output = path('../output')
  mkdirSync(output, { recursive: true })
  folder = mkdtempSync(join(output, 'code-'))
})
after(() => rmSync(folder, { recursive: true }))

describe('the code', () => {
  test('adapters are described as their folders are', () => {
    const folders = {
      places: ['fi', 'jp', 'it', 'pl', 'kr', 'tr'].flatMap((country) =>
        PLACES.map((config) => [config, `places/adapters/${country}-${config.method}`]),
      ),
      smollm2: SMOLLM2.map((config) => [config, `smollm2/${config.method}`]),
    }
    for (const [config, name] of Object.values(folders).flat()) {
      const file = path(`../../../www/public/${name}/adapter_config.json`)
      const made = JSON.parse(readFileSync(file, 'utf8'))
      assert.equal(config.r, made.r, name)
      assert.equal(config.alpha, made.alpha ?? made.lora_alpha, name)
      assert.equal(config.factor ?? -1, made.decompose_factor ?? -1, name)
      assert.equal(config.both ?? false, made.decompose_both ?? false, name)
    }
  })

  test("PEFT's classes and names of arguments", () => {
    const known = {
      LoraConfig: ['r', 'lora_alpha', 'target_modules'],
      LoHaConfig: ['r', 'alpha', 'target_modules'],
      LoKrConfig: ['r', 'alpha', 'decompose_factor', 'decompose_both', 'target_modules'],
    }
    for (const settings of SETTINGS)
      for (const panel of PANELS) {
        const { python } = code(panel, settings, PAGE)
        const calls = [...python.matchAll(/^ {4}(Lo\w+)\((.*)\),$/gm)]
        assert.ok(calls.length > 0, panel)
        for (const [, name, words] of calls) {
          const given = [...words.matchAll(/(\w+)=/g)].map(([, argument]) => argument)
          assert.deepEqual(given, known[name], `${panel}: ${name}`)
        }
        const imported = /^from peft import (.*)$/m.exec(python)[1].split(', ')
        for (const [, name] of calls) assert.ok(imported.includes(name), `${panel}: ${name}`)
      }
  })

  test('the budget of the count is in the configurations', () => {
    const { python } = code('count', fromHash('#v=1&lab.mode=budget&lab.r=2'), PAGE)
    assert.match(python, /LoraConfig\(r=4, lora_alpha=4, /)
    assert.match(python, /LoHaConfig\(r=2, alpha=2, /)
    assert.match(python, /nn\.Linear\(1024, 1024, bias=False\)/)
  })

  test('is JavaScript, and Python where there is one to ask', (t) => {
    const python = spawnSync('python3', ['--version']).status === 0
    if (!python) t.diagnostic('no python3: its syntax was not asked')
    const all = SETTINGS.flatMap((settings) => PANELS.map((panel) => code(panel, settings, PAGE)))
    for (const { javascript, python: lines } of all) {
      const file = join(folder, 'lines.mjs')
      writeFileSync(file, javascript)
      const checked = spawnSync(process.execPath, ['--check', file], { encoding: 'utf8' })
      assert.equal(checked.status, 0, javascript + checked.stderr)
      if (!python) continue
      const script = 'import ast, sys; ast.parse(sys.stdin.read())'
      const parsed = spawnSync('python3', ['-c', script], { input: lines, encoding: 'utf8' })
      assert.equal(parsed.status, 0, lines + parsed.stderr)
    }
  })

  test('files of numbers: quoted, and a column for every key', () => {
    const csv = toCsv([
      { a: 1, 'b, c': 'x"y' },
      { a: null, d: 'two\nlines' },
    ])
    assert.equal(csv, 'a,"b, c",d\r\n1,"x""y",\r\n,,"two\nlines"\r\n')
  })
})

describe('on the page', () => {
  let place
  before(async () => (place = await open({ webgpu: false })))
  after(() => place?.close())

  const bar = (page, panel) => page.locator(`[data-export=${panel}]`)
  const openBar = async (page, panel) => {
    await bar(page, panel).getByRole('button').first().click()
    await bar(page, panel).getByRole('button', { name: 'CSV' }).waitFor()
  }
  async function saved(page, panel, format) {
    const [download] = await Promise.all([
      page
        .waitForEvent('download', { timeout: 10_000 })
        .catch(async () =>
          assert.fail(`${panel} ${format}: ${await bar(page, panel).innerText()}`),
        ),
      bar(page, panel).getByRole('button', { name: format, exact: true }).click(),
    ])
    assert.equal(download.suggestedFilename(), `lokahi-${panel}.${format.toLowerCase()}`)
    // Chromium drops, in silence, the eleventh download of one second
    await page.waitForTimeout(120)
    return readFile(await download.path())
  }
  const javascript = (page, panel) =>
    bar(page, panel)
      .getByRole('textbox', { name: /JavaScript/ })
      .inputValue()
  // not spawnSync: the page's server is in this process
  const run = async (lines) => {
    const file = join(folder, 'run.mjs')
    writeFileSync(file, lines)
    const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 60_000 })
    return stdout
  }

  test("the names' code makes the same names, in Node", async () => {
    const hash = '#v=1&country=it&method=lora&strength=0.8&seed=5&start=Ca&device=cpu'
    const { page, complaints, close } = await visit(place, hash)
    await openBar(page, 'play')
    const made = await names(page)
    assert.deepEqual((await run(await javascript(page, 'play'))).trim().split('\n'), made)
    const rows = (await saved(page, 'play', 'CSV')).toString().trim().split('\r\n')
    assert.equal(rows[0], 'name,without the adapter')
    assert.deepEqual(
      rows.slice(1).map((row) => row.split(',')[0]),
      made,
    )
    assert.deepEqual(complaints, [])
    await close()
  })

  test("the ranks' code measures the same", async () => {
    const { page, close } = await visit(place, '#v=1&country=it&method=lora&device=cpu')
    await page.locator('.inside dl .value').filter({ hasText: /\d/ }).first().waitFor()
    await openBar(page, 'inside')
    const said = await run(await javascript(page, 'inside'))
    const [, , stable, entropy] = await page.locator('.inside dl .value').allInnerTexts()
    const number = (key) => Number(new RegExp(`lora \\{[^}]*${key}: ([\\d.]+)`).exec(said)[1])
    assert.equal(number('stableRank').toFixed(2), stable)
    assert.equal(number('entropyRank').toFixed(2), entropy)
    await close()
  })

  test('numbers and figures of every panel', async () => {
    const { page, complaints, close } = await visit(place, '#v=1&country=it&lab.size=16', {
      reducedMotion: 'reduce',
      acceptDownloads: true,
    })
    for (const part of ['products', 'count', 'budget']) await near(page, part)
    await page.locator('[data-rank=lokr]').waitFor()
    for (const [panel, rows, columns, seen] of [
      ['play', 12, /name/, /[A-Z]/],
      ['inside', 32 + 16 + 4, /singular value/, /bound/],
      ['methods', 3, /rank bound/, /LoKr/],
      ['products', null, /matrix/, /LoHa/],
      ['count', 3, /tensors/, /LoRA/],
      ['budget', 17, /mean loss/, /1\.80/],
    ]) {
      await openBar(page, panel)
      const csv = (await saved(page, panel, 'CSV')).toString()
      assert.match(csv.split('\r\n')[0], columns, panel)
      const json = JSON.parse(await saved(page, panel, 'JSON'))
      assert.equal(json.panel, panel)
      assert.equal(json.link, `${place.url}#v=1&country=it&lab.size=16`)
      if (rows) assert.equal(json.rows.length, rows, panel)
      assert.equal(csv.trim().split('\r\n').length, json.rows.length + 1)
      const svg = (await saved(page, panel, 'SVG')).toString()
      assert.doesNotMatch(svg, /var\(--|class=|foreignObject/, panel)
      const facts = await page.evaluate((svg) => {
        const root = new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement
        return {
          name: root.localName,
          text: root.textContent,
          images: root.querySelectorAll('image').length,
        }
      }, svg)
      assert.equal(facts.name, 'svg')
      assert.match(facts.text, seen, panel)
      if (panel === 'products') assert.ok(facts.images >= 8, `${facts.images} heatmaps`)
      const png = await saved(page, panel, 'PNG')
      assert.deepEqual([...png.subarray(1, 4)], [...Buffer.from('PNG')])
      assert.ok(png.length > 4000, `${panel}: ${png.length} bytes`)
    }
    assert.deepEqual(await grave(page), [])
    assert.deepEqual(complaints, [])
    await close()
  })

  test('in Korean, dark and narrow', async () => {
    const { page, close } = await visit(place, '#v=1&country=it&lang=ko', {
      colorScheme: 'dark',
      viewport: { width: 360, height: 800 },
    })
    await settled(page)
    await openBar(page, 'play')
    await near(page, 'budget')
    await openBar(page, 'budget')
    assert.deepEqual(await grave(page), [])
    assert.ok((await overflow(page)) <= 0)
    assert.match(await bar(page, 'budget').innerText(), /수치.*그림.*복사/s)
    await close()
  })
})
