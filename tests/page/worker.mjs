// The pages of tests/page/worker, bundled by Vite as an application's.
import { fileURLToPath } from 'node:url'
import { build } from 'vite'

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))

/** Builds them with the page's public files; their folder. */
export async function buildWorker() {
  const outDir = path('./output/worker')
  await build({
    configFile: false,
    logLevel: 'warn',
    root: path('./worker'),
    publicDir: path('../../www/public'),
    resolve: {
      alias: [
        { find: /^lokahi$/, replacement: path('../../dist/index.js') },
        { find: /^lokahi\/(.*)$/, replacement: path('../../dist/$1.js') },
      ],
    },
    worker: { format: 'es' },
    build: {
      outDir,
      emptyOutDir: true,
      target: 'es2022',
      rolldownOptions: {
        input: ['index.html', 'through.html'].map((name) => path(`./worker/${name}`)),
      },
    },
  })
  return outDir
}
