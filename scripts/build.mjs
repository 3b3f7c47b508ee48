// Rust -> wasm -> dist, TypeScript -> dist, page -> www/dist.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { ask, fail, isMain, lockedVersion, root, run, runPackage, targetFolder } from './tools.mjs'

// What rustc lets LLVM use for wasm32 today, and SIMD from .cargo/config.toml. Named one by one:
// left to itself, wasm-opt refuses such a module or takes up features that no browser has.
const features = [
  'bulk-memory',
  'bulk-memory-opt',
  'multivalue',
  'mutable-globals',
  'nontrapping-float-to-int',
  'reference-types',
  'sign-ext',
  'simd',
]
// Each entry of the face says where its wasm is: a bundler that sees a second place packs it there too.
const bind = ['--target', 'web', '--omit-default-module-path']
// A second round finds what the first has made possible: 0.4 % in gzip. The first 1024 bytes of
// memory, the last of the stack, are never reached: so a sum of an address and a small number becomes the
// offset of a load, 0.7 % in gzip.
const optimise = [
  ...['--low-memory-unused', '-O3', '-O3'],
  ...['--strip-producers', '--strip-target-features', '--mvp-features'],
  ...features.map((name) => `--enable-${name}`),
]

export function build() {
  buildWasm('lokahi', 'run')
  buildWasm('lokahi_tools', 'tools')
  for (const name of ['lokahi', 'lokahi_tools']) inline(name)
  buildFace()
  writeIntegrity()
  runPackage('vite', ['build', 'www', '--base', './', '--emptyOutDir'])
}

/** dist/NAME.js, dist/NAME_bg.wasm and their types, from the part of the crate that is `feature`. */
function buildWasm(name, feature) {
  const target = 'wasm32-unknown-unknown'
  const part = ['--no-default-features', '--features', feature]
  run('cargo', ['build', '--release', '--lib', '--target', target, ...part])
  const wasm = join(targetFolder(), target, 'release/lokahi.wasm')

  // The glue and the wasm must come from one version, or they fail only when the page loads.
  const cli = ask('wasm-bindgen', '--version').split(' ')[1]
  const locked = lockedVersion('wasm-bindgen')
  if (cli !== locked) {
    throw new Error(`wasm-bindgen is ${cli ?? 'missing'}, Cargo.lock says ${locked}: npm run setup`)
  }

  // Optimising takes far longer than all the rest: the same input is not done twice.
  const input = createHash('sha256').update(readFileSync(wasm))
  const stamp = input.update(JSON.stringify([cli, bind, optimise])).digest('hex')
  const stampFile = join(targetFolder(), `dist-${name}.sha256`)
  const made = [`${name}.js`, `${name}.d.ts`, `${name}_bg.wasm`].map((file) =>
    join(root, 'dist', file),
  )
  const last = existsSync(stampFile) && readFileSync(stampFile, 'utf8')
  if (last === stamp && made.every((file) => existsSync(file))) return

  rmSync(stampFile, { force: true })
  run('wasm-bindgen', [wasm, ...bind, '--out-dir', 'dist', '--out-name', name])
  const bound = join(root, `dist/${name}_bg.wasm`)
  runPackage('binaryen', [...optimise, bound, '-o', bound], { bin: 'wasm-opt' })
  writeFileSync(stampFile, stamp)
}

/** NAME_bg.wasm as a module of JavaScript, for lokahi/inline. */
function inline(name) {
  const bytes = gzipSync(readFileSync(join(root, `dist/${name}_bg.wasm`)), { level: 9 })
  const module = join(root, `dist/${name}_wasm`)
  writeFileSync(`${module}.js`, `export const base64 = '${bytes.toString('base64')}'\n`)
  writeFileSync(`${module}.d.ts`, '/** In gzip. */\nexport declare const base64: string\n')
}

/** The hash of every file, as the `integrity` of HTML has it. */
function writeIntegrity() {
  const dist = join(root, 'dist')
  const hash = (file) =>
    `sha384-${createHash('sha384')
      .update(readFileSync(join(dist, file)))
      .digest('base64')}`
  const hashes = readdirSync(dist).map((file) => [file, hash(file)])
  writeFileSync(
    join(dist, 'integrity.json'),
    `${JSON.stringify(Object.fromEntries(hashes), null, 2)}\n`,
  )
}

/** The TypeScript face beside the glue. What an earlier build left goes first: dist is published. */
function buildFace() {
  const dist = join(root, 'dist')
  mkdirSync(dist, { recursive: true })
  for (const name of readdirSync(dist)) {
    if (!/^(lokahi|snippets)/.test(name)) rmSync(join(dist, name), { recursive: true })
  }
  runPackage('typescript', ['--project', 'tsconfig.build.json'], { bin: 'tsc' })
}

if (isMain(import.meta)) {
  try {
    build()
  } catch (error) {
    fail(error)
  }
}
