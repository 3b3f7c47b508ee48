/** A small line of singular values: log scale, from the largest down to a share of it. */

export const SPARK = { width: 88, height: 24, decades: 4 }

/** More points than this cannot be told apart. */
const POINTS = 44

export function sparkPath(sigma: readonly number[]): string {
  const first = sigma[0] ?? 0
  if (!(first > 0)) return ''
  const { width, height, decades } = SPARK
  const count = Math.min(POINTS, sigma.length)
  const at = (i: number) => Math.round((i * (sigma.length - 1)) / Math.max(1, count - 1))
  const points = Array.from({ length: count }, (_, i) => {
    const down = Math.min(decades, -Math.log10(sigma[at(i)]! / first))
    const x = 2 + (count === 1 ? 0 : (i * (width - 4)) / (count - 1))
    const y = 2 + ((Number.isNaN(down) ? decades : down) * (height - 4)) / decades
    return `${x.toFixed(1)} ${y.toFixed(1)}`
  })
  // A single direction is a level line.
  return count === 1 ? `M${points[0]}h${width - 4}` : `M${points.join('L')}`
}
