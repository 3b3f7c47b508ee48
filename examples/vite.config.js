// Where the examples find the package and the place-name model inside of this repository. A project of
// your own needs none of this: `npm install lokahi`, and the files of a model in its folder `public`.
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))

export default defineConfig({
  root: path('.'),
  base: './',
  publicDir: path('../www/public'),
  resolve: {
    alias: [
      { find: /^lokahi$/, replacement: path('../dist/index.js') },
      { find: /^lokahi\/(.*)$/, replacement: path('../dist/$1.js') },
    ],
  },
  server: { fs: { allow: [path('..')] } },
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    rolldownOptions: {
      input: readdirSync(path('.'))
        .filter((name) => name.endsWith('.html'))
        .map(path),
    },
  },
})
