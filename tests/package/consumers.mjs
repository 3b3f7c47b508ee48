// Small real projects that install the packed tarball: tests/package/consumers/NAME each. What they need
// of others is pinned in their lock files, and stays in target/consumers from run to run.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { npm as command, root } from '../../scripts/tools.mjs'
import { weight } from './consumers/golden.js'

const sources = fileURLToPath(new URL('./consumers', import.meta.url))
const cache = join(root, 'target/consumers')

/** Runs a command in a folder; what it printed. Its output is shown when it fails. */
export function tell(command, args, folder) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1' },
  })
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${error ?? ''}\n${stdout}\n${stderr}`)
  return { stdout, stderr }
}

export const npm = (args, folder) =>
  tell(command[0], [...command.slice(1), ...args, '--no-audit', '--no-fund'], folder)

let packed
/** The path of the tarball, and a folder where npm installed it. */
export function tarball() {
  if (packed) return packed
  mkdirSync(cache, { recursive: true })
  const { stdout } = npm(['pack', '--json', '--pack-destination', cache], root)
  const [{ filename, files }] = JSON.parse(stdout)
  const path = join(cache, filename)
  const installed = join(cache, 'installed')
  rmSync(installed, { recursive: true, force: true })
  install(path, installed)
  return (packed = { path, installed, files: files.map((file) => file.path) })
}

/** Installs the tarball as a user does, in a new project. */
export function install(path, folder) {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
  npm(['install', '--prefer-offline', '--ignore-scripts', path], folder)
}

/** The project of this name with all that it needs; its folder. */
export function consumer(name) {
  const { installed } = tarball()
  const folder = join(cache, name)
  const lock = join(sources, name, 'package-lock.json')
  const stamp = join(folder, 'installed')
  const wanted = existsSync(lock) && createHash('sha256').update(readFileSync(lock)).digest('hex')
  const there = existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted
  for (const file of existsSync(folder) ? readdirSync(folder) : []) {
    if (there && (file === 'node_modules' || file === 'installed')) continue
    rmSync(join(folder, file), { recursive: true })
  }
  cpSync(join(sources, name), folder, { recursive: true })
  cpSync(join(sources, 'golden.js'), join(folder, 'golden.js'))
  if (wanted && !there) {
    npm(['ci', '--prefer-offline', '--ignore-scripts'], folder)
    writeFileSync(stamp, wanted)
  }
  rmSync(join(folder, 'node_modules/lokahi'), { recursive: true, force: true })
  // Of packages that both have, the consumer keeps its own where it is, as npm does.
  cpSync(join(installed, 'node_modules'), join(folder, 'node_modules'), {
    recursive: true,
    filter: (path) => !/node_modules.\.(bin|package-lock\.json)/.test(path),
  })
  return folder
}

/** The model and an adapter, where the project serves its files from. */
export function places(folder) {
  const from = join(root, 'www/public/places')
  cpSync(join(from, 'base'), join(folder, 'places/base'), { recursive: true })
  cpSync(join(from, 'adapters/fi-lokr'), join(folder, 'places/fi-lokr'), { recursive: true })
}

/** All adapters too. */
export function allPlaces(folder) {
  places(folder)
  const from = join(root, 'www/public/places/adapters')
  cpSync(from, join(folder, 'places/adapters'), { recursive: true })
}

const goldens = JSON.parse(readFileSync(join(root, 'tests/fixtures/places/goldens.json'), 'utf8'))

/** The beginnings of names, and what PEFT wrote after each, alone and with every adapter. */
export const beginnings = goldens.prefixes.map(({ text }) => text)
export const texts = Object.fromEntries(
  Object.entries(goldens.models).map(([name, all]) => [name, all.map(({ text }) => text)]),
)

/** What `golden` has to tell. */
export const expected = {
  parameters: 18_368,
  text: goldens.models['fi-lokr'][2].text,
  delta: frobenius(join(root, 'www/public/places/adapters/fi-lokr')),
}

/** The size of the change of `weight`, from the file alone: that of a Kronecker product is a product. */
function frobenius(folder) {
  const file = readFileSync(join(folder, 'adapter_model.safetensors'))
  const { alpha, r } = JSON.parse(readFileSync(join(folder, 'adapter_config.json'), 'utf8'))
  const length = Number(file.readBigUInt64LE(0))
  const header = JSON.parse(file.subarray(8, 8 + length).toString())
  const factor = (name) => {
    const [
      ,
      {
        dtype,
        shape,
        data_offsets: [start],
      },
    ] = Object.entries(header).find(([key]) => key.endsWith(`${weight}.${name}`))
    assert.equal(dtype, 'F32')
    const at = (row, column) => file.readFloatLE(8 + length + start + 4 * (row * shape[1] + column))
    return Array.from({ length: shape[0] }, (_, row) =>
      Array.from({ length: shape[1] }, (_, column) => at(row, column)),
    )
  }
  const size = (matrix) => Math.hypot(...matrix.flat())
  const [a, b] = [factor('lokr_w2_a'), factor('lokr_w2_b')]
  const w2 = a.map((row) => b[0].map((_, j) => row.reduce((sum, x, k) => sum + x * b[k][j], 0)))
  return (alpha / r) * size(factor('lokr_w1')) * size(w2)
}

/** What a consumer told is right. */
export function agrees(told) {
  assert.ok(Math.abs(told.delta / expected.delta - 1) < 1e-5, `${told.delta}, ${expected.delta}`)
  assert.deepEqual({ ...told, delta: expected.delta }, expected)
}
