// What a fresh clone runs first cannot need what it is about to install.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { root } from './tools.mjs'

/** The packages that a script needs before its first line runs, its own imports followed. */
function packagesAtStart(file, seen = new Set()) {
  if (seen.has(file)) return []
  seen.add(file)
  const text = readFileSync(file, 'utf8')
  const names = [...text.matchAll(/^(?:import|(?:import |\}).*from) '(.+)'/gm)].map(
    ([, name]) => name,
  )
  assert.ok(names.length > 0, `${file} imports nothing: is it read rightly?`)
  return names.flatMap((name) => {
    if (name.startsWith('.')) return packagesAtStart(join(dirname(file), name), seen)
    return name.startsWith('node:') ? [] : [`${name} in ${file}`]
  })
}

for (const script of ['test.mjs', 'start.mjs']) {
  test(`${script} starts without an npm package`, () => {
    assert.deepEqual(packagesAtStart(join(root, 'scripts', script)), [])
  })
}
