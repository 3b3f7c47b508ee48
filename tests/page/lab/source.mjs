// The page's TypeScript, one module at a time, as Node can run it.
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { runnerImport } from 'vite'

export const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))

export const source = (name) =>
  runnerImport(path(`../../../www/src/lab/maths/${name}.ts`), { configFile: false }).then(
    ({ module }) => module,
  )

export function near(got, expected, tolerance = 1e-10) {
  assert.equal(got.length, expected.length)
  got.forEach((x, i) =>
    assert.ok(Math.abs(x - expected[i]) <= tolerance, `${i}: ${x} is not ${expected[i]}`),
  )
}
