/** Small dense matrices in f64, row by row. */

export interface Matrix {
  rows: number
  cols: number
  data: Float64Array
}

export const zeros = (rows: number, cols: number): Matrix => ({
  rows,
  cols,
  data: new Float64Array(rows * cols),
})

export const at = (m: Matrix, i: number, j: number): number => m.data[i * m.cols + j]!

export function fill(rows: number, cols: number, of: (i: number, j: number) => number): Matrix {
  const m = zeros(rows, cols)
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) m.data[i * cols + j] = of(i, j)
  return m
}

export const transposed = (m: Matrix): Matrix => fill(m.cols, m.rows, (i, j) => at(m, j, i))

/** `a [m, k]` times `b [k, n]`; with `first`, of only so many of the k layers. */
export function multiply(a: Matrix, b: Matrix, first = a.cols): Matrix {
  const c = zeros(a.rows, b.cols)
  const n = b.cols
  for (let i = 0; i < a.rows; i++)
    for (let k = 0; k < first; k++) {
      const x = a.data[i * a.cols + k]!
      if (x === 0) continue
      for (let j = 0, to = i * n, from = k * n; j < n; j++) c.data[to++]! += x * b.data[from++]!
    }
  return c
}

export function hadamard(a: Matrix, b: Matrix): Matrix {
  return { ...a, data: a.data.map((x, i) => x * b.data[i]!) }
}

/** `a [u, v]` kron `b [p, q]`; with `first`, of only so many of the u v blocks. */
export function kronecker(a: Matrix, b: Matrix, first = a.rows * a.cols): Matrix {
  const c = zeros(a.rows * b.rows, a.cols * b.cols)
  for (let block = 0; block < first; block++) {
    const top = Math.floor(block / a.cols) * b.rows
    const left = (block % a.cols) * b.cols
    const x = a.data[block]!
    for (let p = 0; p < b.rows; p++)
      for (let q = 0; q < b.cols; q++)
        c.data[(top + p) * c.cols + left + q] = x * b.data[p * b.cols + q]!
  }
  return c
}

/** Column by column products of the rows: `[m, a]` and `[m, b]` give `[m, a b]`. */
export const facesplit = (a: Matrix, b: Matrix): Matrix =>
  fill(a.rows, a.cols * b.cols, (i, k) => at(a, i, Math.floor(k / b.cols)) * at(b, i, k % b.cols))

/**
 * All but this share of the numbers are nearer to zero: the end of a scale that outliers do not spoil.
 * Of large matrices a sample is taken.
 */
export function reach(matrices: readonly Matrix[], share: number): number {
  const total = matrices.reduce((n, { data }) => n + data.length, 0)
  const stride = Math.ceil(total / 20_000)
  const sample = matrices.flatMap(({ data }) =>
    Array.from({ length: Math.ceil(data.length / stride) }, (_, i) => Math.abs(data[i * stride]!)),
  )
  const sorted = Float64Array.from(sample).sort()
  return sorted[Math.floor((sorted.length - 1) * (1 - share))] ?? 0
}

/** Normally distributed numbers from a seed: the same on every machine. */
export function dice(seed: number): () => number {
  let state = (seed * 0x9e3779b9) >>> 0
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())
}
