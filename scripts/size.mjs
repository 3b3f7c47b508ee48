// How much a visitor downloads, and how much npm does. The gates keep it from growing unseen.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { fail, isMain, npm, root } from './tools.mjs'

/** In bytes, gzipped; 400 KiB for each wasm, 15 for the face. */
const gates = {
  'lokahi_bg.wasm': 409_600,
  'lokahi_tools_bg.wasm': 409_600,
  'the face, minified': 15_360,
  'the tarball without inline': 1_000_000,
}

export function size() {
  const dist = join(root, 'dist')
  const names = readdirSync(dist).filter((name) => /\.(js|wasm)$/.test(name))
  const rows = names.map((name) => measured(name, readFileSync(join(dist, name))))
  rows.push(
    measured('the face, minified', bundled('index.js', ['./lokahi.js', './lokahi_tools.js'])),
  )
  rows.push(measured('its glue, minified', bundled('lokahi.js', [])))
  rows.push({ file: 'the tarball', gzip: packed() })
  const inline = /^(inline|lokahi(_tools)?_wasm)\./
  rows.push({ file: 'the tarball without inline', gzip: packed((name) => !inline.test(name)) })

  const columns = ['raw', 'gzip', 'brotli']
  const line = (file, cells) => file.padEnd(28) + cells.map((cell) => cell.padStart(12)).join('')
  console.log(line('file', columns))
  for (const row of rows) {
    console.log(
      line(
        row.file,
        columns.map((column) => (row[column] === undefined ? '' : kB(row[column]))),
      ),
    )
  }

  for (const [name, gate] of Object.entries(gates)) {
    const found = rows.find(({ file }) => file === name)
    if (!found) throw new Error(`dist/${name} is missing: npm run build`)
    if (found.gzip > gate) {
      throw new Error(`${name} is ${kB(found.gzip)} in gzip, over the gate of ${kB(gate)}`)
    }
  }
}

const measured = (file, bytes) => ({
  file,
  raw: bytes.length,
  gzip: gzipSync(bytes, { level: 9 }).length,
  brotli: brotliCompressSync(bytes).length,
})

/** What a bundler makes of a file of dist, without the tokenizer and other packages. */
function bundled(file, others) {
  // Only now: a fresh clone reads this file before it has installed any package.
  const { buildSync } = createRequire(import.meta.url)('esbuild')
  const { outputFiles } = buildSync({
    entryPoints: [join(root, 'dist', file)],
    bundle: true,
    format: 'esm',
    minify: true,
    write: false,
    external: ['@huggingface/*', '@noble/*', ...others],
    logLevel: 'error',
  })
  return outputFiles[0].contents
}

/** What npm downloads, with the files of dist that `filter` leaves. */
function packed(filter = () => true) {
  const folder = mkdtempSync(join(tmpdir(), 'lokahi-'))
  try {
    const files = readdirSync(root).filter((name) =>
      /^(package\.json|.*\.md|LICENSE.*)$/.test(name),
    )
    for (const name of files) cpSync(join(root, name), join(folder, name))
    for (const name of readdirSync(join(root, 'dist')).filter(filter)) {
      cpSync(join(root, 'dist', name), join(folder, 'dist', name))
    }
    const { stdout, stderr } = spawnSync(npm[0], [...npm.slice(1), 'pack', '--dry-run', '--json'], {
      cwd: folder,
      encoding: 'utf8',
    })
    if (!stdout) throw new Error(`npm pack: ${stderr}`)
    return JSON.parse(stdout)[0].size
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const kB = (bytes) => `${(bytes / 1000).toFixed(1)} kB`

if (isMain(import.meta)) {
  try {
    size()
  } catch (error) {
    fail(error)
  }
}
