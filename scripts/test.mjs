// Every check, in an order that fails early and cheaply. Stops at the first failure.
//   --list               the names of the steps
//   --only NAME[,NAME]   these steps alone, one after the other
import { spawn } from 'node:child_process'
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

/** Lists of one group run beside each other, as hardly a step keeps two cores busy. */
const order = [
  [['setup', 'model']],
  [
    ['rustfmt', 'clippy', 'clippy-wasm', 'native', 'chromium'],
    [
      'audit',
      'prettier',
      'build',
      'size',
      'types',
      'scripts',
      'node',
      'package',
      'docs',
      'firefox',
    ],
  ],
  // Alone, as it measures how smooth the page is.
  [['page']],
]

const left = Object.keys(steps).filter((name) => !order.flat(2).includes(name))
if (left.length > 0) fail(new Error(`in no list of steps: ${left.join(', ')}`))

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
const names = values.only?.flatMap((list) => list.split(',')) ?? order.flat(2)
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

/** Notes how long a step took; where it fails, that is the end. */
async function timed(name, step) {
  const start = performance.now()
  const seconds = () => `${((performance.now() - start) / 1000).toFixed(1)} s`
  try {
    await step()
  } catch (error) {
    console.error(`\n${name} failed after ${seconds()}: ${error.message}`)
    if (names.length > 1) console.log(`${taken.length} passed, 1 failed`)
    process.exit(1)
  }
  taken.push([name, seconds()])
}

const running = new Set()
process.on('exit', () => {
  for (const { pid, exitCode } of running) {
    // With all that the step has started: a browser would go on otherwise.
    if (exitCode === null) process.kill(-pid)
  }
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))

/** A step as a process of its own, whose output is shown in one piece. */
function apart(name) {
  console.log(`... ${name}`)
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [import.meta.filename, '--only', name], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    running.add(child)
    const output = []
    child.stdout.on('data', (data) => output.push(data))
    child.stderr.on('data', (data) => output.push(data))
    child.on('error', failed)
    child.on('close', (status, signal) => {
      running.delete(child)
      process.stdout.write(Buffer.concat(output))
      if (status === 0) done()
      else failed(new Error(`it ended with ${signal ?? `exit status ${status}`}`))
    })
  })
}

if (values.only) {
  for (const name of names) {
    console.log(`\n--- ${name}`)
    await timed(name, all[name])
  }
} else {
  const inTurn = async (list) => {
    for (const name of list) await timed(name, () => apart(name))
  }
  for (const lists of order) await Promise.all(lists.map(inTurn))
}

if (names.length === 1) process.exit()
console.log()
for (const [name, seconds] of taken) console.log(name.padEnd(12) + seconds.padStart(9))
console.log(`${taken.length} passed, 0 failed`)
