// From a fresh clone to the page in a browser: set up what is missing, build, document, serve.
import { join } from 'node:path'
import { build } from './build.mjs'
import { docs } from './docs.mjs'
import { serve } from './serve.mjs'
import { setup } from './setup.mjs'
import { fail, root } from './tools.mjs'

try {
  setup()
  build()
  docs()
  const { PORT } = process.env
  const { url } = await serve(join(root, 'www/dist'), {
    port: PORT ? Number(PORT) : undefined,
    models: join(root, 'models'),
  })
  console.log(`\nLokahi is at ${url} (Ctrl-C ends it)`)
} catch (error) {
  fail(error)
}
