// The packed tarball and the consumers that take little time: Node, types, plain HTML, Vite.
import assert from 'node:assert/strict'
import { cpSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { serve } from '../../scripts/serve.mjs'
import { root, runPackage } from '../../scripts/tools.mjs'
import { agrees, consumer, expected, places, tarball, tell } from './consumers.mjs'
import { agreesIn, inNode } from './node.mjs'
import { build, closeBrowser, onPage, resultIn } from './pages.mjs'

after(closeBrowser)

test('the tarball holds what is published, and nothing else', () => {
  const { files, installed } = tarball()
  const others = files.filter((file) => !file.startsWith('dist/'))
  assert.deepEqual(others.sort(), [
    'CHANGELOG.md',
    'LICENSE-APACHE',
    'LICENSE-MIT',
    'README.md',
    'package.json',
  ])
  const { exports, scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) {
    assert.ok(!(script in scripts), `${script} would run when the package is installed`)
  }
  const named = Object.values(exports).flatMap((to) =>
    typeof to === 'string' ? to : Object.values(to),
  )
  for (const file of named) {
    assert.ok(existsSync(join(installed, 'node_modules/lokahi', file)), file)
  }
})

test('publint and arethetypeswrong find nothing', () => {
  const { path } = tarball()
  runPackage('publint', [path, '--strict'])
  const notModules = ['lokahi.wasm', 'lokahi_tools.wasm', 'integrity.json']
  const args = ['--profile', 'esm-only', '--exclude-entrypoints', ...notModules]
  runPackage('@arethetypeswrong/cli', [path, ...args], { bin: 'attw' })
})

test('Node: the module and the command, in a folder of their own', () =>
  inNode((folder) => {
    agreesIn(process.execPath, folder)
    const inspect = ['lokahi', 'inspect', 'places/fi-lokr', '--json']
    const { stdout } = tell('npx', ['--no', ...inspect], folder)
    assert.equal(JSON.parse(stdout).parameters, expected.parameters)
  }))

test('TypeScript: strict, with the module resolutions bundler and node16', () => {
  build(consumer('types'))
})

test('plain HTML with an import map, on the CPU and on WebGPU', async () => {
  const folder = consumer('html')
  places(folder)
  agrees(await resultIn(folder))
  agrees(await resultIn(folder, { path: '?device=webgpu' }))
})

test('Vite: the built page, under a strict policy', async () => {
  const folder = consumer('vite')
  places(join(folder, 'public'))
  build(folder)
  const policy = "default-src 'none'; connect-src 'self'; script-src 'self' 'wasm-unsafe-eval'"
  const headers = { 'Content-Security-Policy': policy }
  agrees(await resultIn(join(folder, 'dist'), { headers }))
})

test("README: the newcomer's script in an empty Vite project", async () => {
  const folder = consumer('empty')
  const [, section] = readFileSync(join(root, 'README.md'), 'utf8').split('## In your own page')
  const [, script] = section.match(/```js\n(.*?)```/s)
  writeFileSync(join(folder, 'main.js'), script)
  cpSync(join(root, 'www/public'), join(folder, 'public'), { recursive: true })
  build(folder)
  const { url, close } = await serve(join(folder, 'dist'), { port: 0 })
  try {
    await onPage(url, async ({ page, said, errors }) => {
      const until = Date.now() + 60_000
      while (said.join('').length < 3 && Date.now() < until) await page.waitForTimeout(100)
      // A town, letter by letter.
      assert.match(said.join(''), /^[A-Z][a-z]+/)
      assert.deepEqual(errors, [])
    })
  } finally {
    await close()
  }
})

test('README names the versions of all consumers', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  const folder = join(root, 'tests/package/consumers')
  for (const name of readdirSync(folder, { withFileTypes: true })) {
    if (!name.isDirectory()) continue
    const { dependencies } = JSON.parse(
      readFileSync(join(folder, name.name, 'package.json'), 'utf8'),
    )
    for (const [what, version] of Object.entries(dependencies)) {
      const tool = tools[what]
      if (tool) assert.ok(readme.includes(`${tool} ${version}`), `${name.name}: ${tool} ${version}`)
    }
  }
})

const tools = {
  '@sveltejs/kit': 'SvelteKit',
  esbuild: 'esbuild',
  next: 'Next.js',
  rollup: 'Rollup',
  typescript: 'TypeScript',
  vite: 'Vite',
  webpack: 'webpack',
}
