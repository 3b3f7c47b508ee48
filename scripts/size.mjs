// How much a visitor downloads. The gate keeps the wasm from growing unseen.
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { fail, isMain, root } from './tools.mjs'

/** 400 KiB each. */
const gates = { 'lokahi_bg.wasm': 409_600, 'lokahi_tools_bg.wasm': 409_600 }

export function size() {
  const dist = join(root, 'dist')
  const names = readdirSync(dist).filter((name) => /\.(js|wasm)$/.test(name))
  const rows = names.map((name) => {
    const bytes = readFileSync(join(dist, name))
    return {
      file: name,
      raw: bytes.length,
      gzip: gzipSync(bytes, { level: 9 }).length,
      brotli: brotliCompressSync(bytes).length,
    }
  })

  const columns = ['file', 'raw', 'gzip', 'brotli']
  const line = (cells) =>
    cells[0].padEnd(24) +
    cells
      .slice(1)
      .map((c) => c.padStart(12))
      .join('')
  console.log(line(columns))
  for (const row of rows)
    console.log(line(columns.map((c) => (c === 'file' ? row[c] : kB(row[c])))))

  for (const [name, gate] of Object.entries(gates)) {
    const wasm = rows.find(({ file }) => file === name)
    if (!wasm) throw new Error(`dist/${name} is missing: npm run build`)
    if (wasm.gzip > gate) {
      throw new Error(`${name} is ${kB(wasm.gzip)} in gzip, over the gate of ${kB(gate)}`)
    }
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
