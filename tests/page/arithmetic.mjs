// Sums as the page writes them.
import assert from 'node:assert/strict'

/** `0.31·(−0.22) + …` as JavaScript reads it */
export const computed = (words) =>
  // eslint-disable-next-line no-eval -- the page's own digits and signs, nothing else
  Number(
    eval(
      words
        .replace(/[^-−0-9.·+()]/g, '')
        .replaceAll('−', '-')
        .replaceAll('·', '*'),
    ),
  )

/** As near as the digits that are shown. */
export const agree = (got, expected) =>
  assert.ok(
    Math.abs(got - expected) <= 0.03 * Math.max(1, Math.abs(expected)),
    `${got}, ${expected}`,
  )
