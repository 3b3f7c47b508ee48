// Everything in one file.
import { writeFile } from 'node:fs/promises'
import { build } from 'esbuild'

const { outputFiles } = await build({
  entryPoints: ['main.js'],
  bundle: true,
  format: 'iife',
  minify: true,
  write: false,
  logOverride: { 'empty-import-meta': 'error' },
  logLevel: 'warning',
})
const script = outputFiles[0].text.replaceAll('</script', '<\\/script')
await writeFile('index.html', `<!doctype html><title>One file</title><script>${script}</script>`)
