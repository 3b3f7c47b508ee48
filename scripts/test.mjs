// Every check, in an order that fails early and cheaply. Stops at the first failure.
//   --list               the names of the steps
//   --only NAME[,NAME]   these steps alone
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { audit, deny } from './audit.mjs'
import { build } from './build.mjs'
import { docs } from './docs.mjs'
import { hasModel, model } from './model.mjs'
import { setup } from './setup.mjs'
import { size } from './size.mjs'
import { fail, find, root, run, runPackage } from './tools.mjs'

const clippy = (...what) => run('cargo', ['clippy', ...what, '--', '-D', 'warnings'])

const steps = {
  setup: () => setup({ browsers: true }),
  model: bringModel,
  rustfmt: () => run('cargo', ['fmt', '--check']),
  clippy: () => clippy('--all-targets'),
  'clippy-wasm': () => clippy('--target', 'wasm32-unknown-unknown', '--lib', '--test', 'web'),
  audit,
  prettier: () => runPackage('prettier', ['--check', '.']),
  native: () => {
    // The tests themselves pass without it, and their own words are not shown then.
    if (!process.env.LOKAHI_SMOLLM2 && !hasModel()) {
      console.log('SKIPPED: the tests of SmolLM2, whose file is not here. Bring it: npm run model')
    }
    run('cargo', ['test'])
  },
  build,
  size,
  docs: () => {
    docs()
    nodeTests('tests/docs')
  },
  types: () => runPackage('svelte-check', ['--tsconfig', 'tsconfig.json', '--fail-on-warnings']),
  chromium: () => inBrowser('--chrome', '--chromedriver', find('chromedriver')),
  firefox: () => inBrowser('--firefox', '--geckodriver', find('geckodriver')),
  scripts: () => nodeTests('scripts'),
  node: () => nodeTests('tests/node'),
  page: () => nodeTests('tests/page'),
  package: () => nodeTests('tests/package', 'fast'),
}

/** What takes longer, and steps by name alone: `npm run test:package` takes them all. */
const more = {
  'setup-webkit': () => setup({ browsers: true, webkit: true }),
  deny,
  consumers: () => nodeTests('tests/package', 'bundlers'),
  browsers: () => nodeTests('tests/package', 'browsers'),
  robust: () => nodeTests('tests/package', 'robust'),
  versions: () => nodeTests('tests/package', 'versions'),
}

/** SmolLM2, for the tests that need a real model. Without it they are skipped. */
async function bringModel() {
  try {
    await model()
  } catch (error) {
    console.log(`SKIPPED: SmolLM2 and its tests. ${error.message}`)
  }
}

/** tests/web in a browser; webdriver.json turns WebGPU on, on a software GPU. */
function inBrowser(...browser) {
  // no-install: both drivers and the test runner are here, nothing needs to be fetched.
  const args = ['test', '--mode', 'no-install', '--headless', ...browser, '--', '--test', 'web']
  run('wasm-pack', args, {
    // Firefox answers a readback late, and the model's tests read once a token.
    WASM_BINDGEN_TEST_TIMEOUT: '900',
    // wasm-pack builds with the dev profile, then tests with the test profile of Cargo.toml: made
    // alike, they share one build.
    CARGO_PROFILE_DEV_OPT_LEVEL: '2',
  })
}

/** Each file by its name, as the meaning of a folder here differs between versions of Node. */
function nodeTests(folder, only = '') {
  const files = readdirSync(join(root, folder), { recursive: true })
    .filter((name) => name.endsWith(`${only}.test.mjs`))
    .map((name) => join(folder, name))
  if (files.length === 0) throw new Error(`${folder} holds no *.test.mjs`)
  run(process.execPath, ['--test', '--test-reporter=spec', ...files.sort()])
}

const { values } = parseArgs({
  options: { list: { type: 'boolean' }, only: { type: 'string', multiple: true } },
})
const names = values.only?.flatMap((list) => list.split(',')) ?? Object.keys(steps)
const all = { ...steps, ...more }
const unknown = names.filter((name) => !(name in all))
if (unknown.length > 0) {
  fail(
    new Error(`No step is called ${unknown.join(', ')}. There are: ${Object.keys(all).join(', ')}`),
  )
}
if (values.list) {
  console.log(names.join('\n'))
  process.exit()
}

const taken = []
for (const name of names) {
  console.log(`\n--- ${name}`)
  const start = performance.now()
  const seconds = () => `${((performance.now() - start) / 1000).toFixed(1)} s`
  try {
    await all[name]()
  } catch (error) {
    console.error(`\n${name} failed after ${seconds()}: ${error.message}`)
    console.log(`${taken.length} passed, 1 failed`)
    process.exit(1)
  }
  taken.push([name, seconds()])
}

console.log()
for (const [name, seconds] of taken) console.log(name.padEnd(12) + seconds.padStart(9))
console.log(`${taken.length} passed, 0 failed`)
