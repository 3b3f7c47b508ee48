import resolve from '@rollup/plugin-node-resolve'
import { copyFileSync, mkdirSync } from 'node:fs'

/** Rollup leaves addresses as they are: the wasm belongs beside the bundle. */
const wasm = {
  name: 'wasm',
  writeBundle({ dir }) {
    mkdirSync(dir, { recursive: true })
    for (const name of ['lokahi_bg.wasm', 'lokahi_tools_bg.wasm']) {
      copyFileSync(`node_modules/lokahi/dist/${name}`, `${dir}/${name}`)
    }
  },
}

export default {
  input: 'main.js',
  output: { dir: 'dist', chunkFileNames: '[name].js' },
  plugins: [resolve({ browser: true }), wasm],
}
