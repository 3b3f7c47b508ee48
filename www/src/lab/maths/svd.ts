/** Singular values and the ranks that they give. */

import { facesplit, fill, multiply, transposed, type Matrix } from './matrix'

/** Descending. One-sided Jacobi: columns are turned in pairs until all are at right angles. */
export function singularValues(matrix: Matrix): number[] {
  // the columns as rows, of which there are fewer
  const m =
    matrix.cols <= matrix.rows ? transposed(matrix) : { ...matrix, data: matrix.data.slice() }
  const { rows: n, cols: length, data } = m
  for (let sweep = 0; sweep < 60; sweep++) {
    let turned = false
    for (let i = 0; i < n; i++)
      for (let j = i + 1; j < n; j++) {
        let [a, b, c] = [0, 0, 0]
        const x = i * length
        const y = j * length
        for (let k = 0; k < length; k++) {
          const p = data[x + k]!
          const q = data[y + k]!
          a += p * p
          b += q * q
          c += p * q
        }
        if (Math.abs(c) <= 1e-15 * Math.sqrt(a * b)) continue
        turned = true
        const zeta = (b - a) / (2 * c)
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta))
        const cos = 1 / Math.hypot(1, t)
        const sin = cos * t
        for (let k = 0; k < length; k++) {
          const p = data[x + k]!
          const q = data[y + k]!
          data[x + k] = cos * p - sin * q
          data[y + k] = sin * p + cos * q
        }
      }
    if (!turned) break
  }
  return Array.from({ length: n }, (_, i) =>
    Math.hypot(...data.subarray(i * length, (i + 1) * length)),
  ).sort((a, b) => b - a)
}

/** The upper triangle of a QR decomposition, by Gram and Schmidt, twice for accuracy. */
function triangle(tall: Matrix): Matrix {
  const q = transposed(tall)
  const k = tall.cols
  const r = fill(k, k, () => 0)
  for (let j = 0; j < k; j++) {
    const column = q.data.subarray(j * q.cols, (j + 1) * q.cols)
    for (let again = 0; again < 2; again++)
      for (let i = 0; i < j; i++) {
        const other = q.data.subarray(i * q.cols, (i + 1) * q.cols)
        let dot = 0
        for (let l = 0; l < q.cols; l++) dot += other[l]! * column[l]!
        r.data[i * k + j]! += dot
        for (let l = 0; l < q.cols; l++) column[l]! -= dot * other[l]!
      }
    const norm = Math.hypot(...column)
    r.data[j * k + j] = norm
    if (norm > 0) for (let l = 0; l < q.cols; l++) column[l]! /= norm
  }
  return r
}

/** Of `a [m, k]` times `b [k, n]`, at most k of them, without the product where k is small. */
export function ofProduct(a: Matrix, b: Matrix): number[] {
  if (a.cols >= Math.min(a.rows, b.cols)) return singularValues(multiply(a, b))
  return singularValues(multiply(triangle(a), transposed(triangle(transposed(b)))))
}

/** Of `(a1 b1) * (a2 b2)` cell by cell: that is one product with r1 r2 layers. */
export const ofHadamard = (a1: Matrix, b1: Matrix, a2: Matrix, b2: Matrix): number[] =>
  ofProduct(facesplit(a1, a2), transposed(facesplit(transposed(b1), transposed(b2))))

/** Of a Kronecker product: every singular value of one times every one of the other. */
export const ofKronecker = (one: readonly number[], two: readonly number[]): number[] =>
  one.flatMap((x) => two.map((y) => x * y)).sort((a, b) => b - a)

export interface Ranks {
  numerical: number
  stable: number
  entropy: number
}

/** `threshold` is relative to the largest. No singular value above zero: no direction, rank 0. */
export function ranks(sigma: readonly number[], threshold: number): Ranks {
  const first = sigma[0] ?? 0
  if (first === 0) return { numerical: 0, stable: 0, entropy: 0 }
  const energy = sigma.map((x) => (x / first) ** 2)
  const sum = energy.reduce((a, b) => a + b, 0)
  const entropy = energy.reduce((h, e) => (e > 0 ? h - (e / sum) * Math.log(e / sum) : h), 0)
  return {
    numerical: sigma.filter((x) => x > threshold * first).length,
    stable: sum,
    entropy: Math.exp(entropy),
  }
}
