// npm run bench: Lokahi and its peers in one page of a headless Chromium. See benches/README.md.
import { existsSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { build } from 'vite'
import { serve } from '../scripts/serve.mjs'
import { chromiumArgs, chromium as chromiumPath, fail, root, run } from '../scripts/tools.mjs'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const GGUF = process.env.LOKAHI_SMOLLM2 ?? 'models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf'

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'cpu' },
    rounds: { type: 'string', default: '9' },
    tokens: { type: 'string', default: '24' },
    json: { type: 'string' },
    'no-peers': { type: 'boolean' },
  },
})

async function bench() {
  if (!existsSync(GGUF)) throw new Error(`no ${GGUF}: npm run model`)
  if (!existsSync(path('browser/node_modules'))) {
    run('npm', ['ci', '--prefix', path('browser')])
  }
  const outDir = path('browser/dist')
  await build({
    configFile: false,
    logLevel: 'warn',
    root: path('browser'),
    resolve: { alias: { lokahi: path('../dist/index.js') } },
    build: { outDir, emptyOutDir: true, target: 'es2022', chunkSizeWarningLimit: 1e5 },
  })
  const server = await serve(outDir, { port: 0 })
  const browser = await chromium.launch({ executablePath: chromiumPath(), args: chromiumArgs() })
  try {
    const page = await browser.newPage()
    page.setDefaultTimeout(0)
    page.on('pageerror', (error) => console.error(error.message))
    await page.goto(server.url)
    const files = ['adapter_config.json', 'adapter_model.safetensors']
    const adapters = ['lora', 'loha', 'lokr'].flatMap((name) =>
      files.map((file) => `${root}/www/public/smollm2/${name}/${file}`),
    )
    await page.setInputFiles('input', [GGUF, ...adapters])
    const { device, rounds, tokens } = values
    const options = {
      device,
      rounds: Number(rounds),
      tokens: Number(tokens),
      peers: !values['no-peers'],
    }
    const found = await page.evaluate((options) => window.bench.model(options), options)
    report({
      machine: `${cpus().length} x ${cpus()[0].model}`,
      browser: browser.version(),
      ...found,
    })
  } finally {
    await browser.close()
    await server.close()
  }
}

function report({ machine, browser, engine, memory, results }) {
  console.log(
    `${machine}; Chromium ${browser}; ${engine.backend} ${engine.device} (${engine.reason})`,
  )
  console.log(`memory of weights and adapters: ${(memory.bytes / 1e6).toFixed(1)} MB`)
  const number = (x) => x.toPrecision(4)
  const rows = results.map(({ what, unit, name, median, min, max }) => [
    what,
    name,
    `${number(median)} ${unit}`,
    `${number(min)} to ${number(max)}`,
  ])
  const widths = [0, 1, 2, 3].map((at) => Math.max(...rows.map((row) => row[at].length)))
  for (const row of rows) console.log(row.map((cell, at) => cell.padEnd(widths[at])).join('  '))
  if (values.json) {
    writeFileSync(
      values.json,
      JSON.stringify({ machine, browser, engine, memory, results }, null, 1),
    )
  }
}

bench().catch(fail)
