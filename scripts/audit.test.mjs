import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFree, judged } from './audit.mjs'

test('licences: a choice that is free, and all of what comes together', () => {
  for (const licence of [
    'MIT',
    'MIT OR Apache-2.0',
    'Apache-2.0/MIT',
    'GPL-3.0 OR MIT',
    '(MIT OR Apache-2.0) AND Unicode-3.0',
  ]) {
    assert.ok(isFree(licence), licence)
  }
  for (const licence of [
    undefined,
    '',
    'GPL-3.0',
    'MIT AND GPL-3.0',
    '(MIT OR Apache-2.0) AND GPL-3.0',
    'UNLICENSED',
    'MPL-2.0',
  ]) {
    assert.ok(!isFree(licence), String(licence))
  }
})

test('npm audit: what was found is told, what was not asked too', () => {
  const report = (...severities) => {
    const found = severities.map((severity, i) => [`p${i}`, { name: `p${i}`, severity }])
    const metadata = { vulnerabilities: { total: severities.length } }
    return JSON.stringify({ vulnerabilities: Object.fromEntries(found), metadata })
  }
  const high = ['high', 'critical']
  assert.deepEqual(judged(report(), high), { found: [] })
  assert.deepEqual(judged(report('low', 'critical'), high), { found: ['p1 (critical)'] })
  assert.deepEqual(judged(report('low'), ['low', ...high]), { found: ['p0 (low)'] })
  assert.match(judged('{"message":"405 Method Not Allowed"}', high).skipped, /405/)
  assert.match(judged('', high).skipped, /no report/)
})
