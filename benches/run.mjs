// npm run bench: Lokahi and its peers in one page of a headless Chromium. See benches/README.md.
import { existsSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { chromium } from 'playwright-core'
import { build } from 'vite'
import { serve } from '../scripts/serve.mjs'
import { chromiumArgs, chromium as chromiumPath, fail, root, run } from '../scripts/tools.mjs'
import { modelTable, productTable } from './tables.mjs'

const HELP = `npm run bench -- [model | products] [options]

  model      SmolLM2 without and with adapters, beside wllama (the default)
  products   one product at a time in every form, beside tfjs, onnxruntime and jax-js

  --device cpu|webgpu   what ours runs on, and which peers (cpu)
  --rounds N            samples of each candidate (9)
  --json FILE           everything that was measured
  --no-peers            ours alone
  --hardware            the GPU of this machine, and not the software one of the tests
  --tokens N            model: so many are written (24)
  --quick               products: 3 rounds of fewer cells
  --only TEXT           products: cells whose name holds it, as '576x576, 16 rows, LoRA r 8'`

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const GGUF = process.env.LOKAHI_SMOLLM2 ?? 'models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf'

/** Sizes that models of the page have, and a large one. */
const SHAPES = [
  [576, 576],
  [192, 576],
  [1536, 576],
  [2048, 2048],
]

const benches = {
  model: {
    files: modelFiles,
    options: ({ tokens }) => ({ tokens: whole('tokens', tokens) }),
    table: modelTable,
  },
  products: {
    files: () => [],
    options: ({ quick, only }) => ({
      only,
      shapes: quick ? [SHAPES[0], SHAPES[2]] : SHAPES,
      rows: quick ? [1, 16] : [1, 16, 128],
    }),
    table: productTable,
  },
}

function modelFiles() {
  if (!existsSync(GGUF)) throw new Error(`no ${GGUF}: npm run model`)
  const files = ['adapter_config.json', 'adapter_model.safetensors']
  const adapters = ['lora', 'loha', 'lokr'].flatMap((name) =>
    files.map((file) => `${root}/www/public/smollm2/${name}/${file}`),
  )
  return [GGUF, ...adapters]
}

function whole(name, text) {
  const value = Number(text)
  if (Number.isInteger(value) && value > 0) return value
  throw new Error(`--${name}: expected a whole number from 1 on, got ${text}`)
}

/** The browser's arguments; those of the tests ask for a software GPU. */
function browserArgs(hardware) {
  if (!hardware) return chromiumArgs()
  const args = chromiumArgs().filter((arg) => !arg.startsWith('--use-webgpu-adapter'))
  const linux = ['--enable-features=Vulkan', '--use-angle=vulkan', '--ignore-gpu-blocklist']
  return [...args, ...(process.platform === 'linux' ? linux : [])]
}

async function bench() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'cpu' },
      rounds: { type: 'string' },
      tokens: { type: 'string', default: '24' },
      json: { type: 'string' },
      'no-peers': { type: 'boolean' },
      hardware: { type: 'boolean' },
      quick: { type: 'boolean' },
      only: { type: 'string' },
      help: { type: 'boolean' },
    },
  })
  if (values.help) return console.log(HELP)
  const [what = 'model', ...more] = positionals
  if (!(what in benches) || more.length > 0) {
    throw new Error(`expected model or products, got ${positionals.join(' ')}\n\n${HELP}`)
  }
  const { device, quick } = values
  if (!['cpu', 'webgpu'].includes(device)) {
    throw new Error(`--device: expected cpu or webgpu, got ${device}`)
  }
  const files = benches[what].files()
  const options = {
    device,
    rounds: whole('rounds', values.rounds ?? (quick ? 3 : 9)),
    peers: !values['no-peers'],
    ...benches[what].options(values),
  }

  if (!existsSync(path('browser/node_modules'))) {
    run('npm', ['ci', '--prefix', path('browser')])
  }
  const outDir = path('browser/dist')
  await build({
    configFile: false,
    logLevel: 'error',
    root: path('browser'),
    resolve: { alias: { lokahi: path('../dist/index.js') } },
    build: { outDir, emptyOutDir: true, target: 'es2022', chunkSizeWarningLimit: 1e5 },
  })
  const server = await serve(outDir, { port: 0 })
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    args: browserArgs(values.hardware),
  })
  try {
    const page = await browser.newPage()
    page.setDefaultTimeout(0)
    page.on('pageerror', (error) => console.error(error.message))
    await page.exposeFunction('progress', (text) => console.error(text))
    await page.goto(server.url)
    await page.setInputFiles('input', files)
    const found = await page.evaluate(
      ([what, options]) => window.bench[what](options),
      [what, options],
    )
    const machine = `${cpus().length} x ${cpus()[0].model}`
    const all = { machine, browser: browser.version(), ...found }
    const { engine, peers = [] } = all
    console.log(
      `${machine}; Chromium ${all.browser}; ${engine.backend} ${engine.device} (${engine.reason})`,
    )
    if (peers.length > 0) console.log(`beside ${peers.join('; ')}`)
    for (const line of benches[what].table(all)) console.log(line)
    if (values.json) writeFileSync(values.json, `${JSON.stringify(all, null, 1)}\n`)
  } finally {
    await browser.close()
    await server.close()
  }
}

bench().catch(fail)
