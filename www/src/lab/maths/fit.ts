/** Factors fitted to a picture by gradient descent (Adam), the same way for each method. */

import type { Method } from '../../state/choices'
import { halves, materialise, randomChange, type Change } from './change'
import type { Count } from './count'
import { dice, fill, hadamard, multiply, transposed, zeros, type Matrix } from './matrix'
import type { Picture } from '../settings'

/** Values from -1 to 1. */
export function picture(name: Picture, n: number, seed: number): Matrix {
  const next = dice(seed)
  const within = (x: number, y: number, cx: number, cy: number, r: number) =>
    Math.hypot(x - cx, y - cy) < r
  const of: Record<Picture, (x: number, y: number) => number> = {
    face: (x, y) => {
      if (within(x, y, 0.33, 0.38, 0.08) || within(x, y, 0.67, 0.38, 0.08)) return -1
      const smile = within(x, y, 0.5, 0.52, 0.28) && !within(x, y, 0.5, 0.42, 0.28)
      return smile ? -1 : within(x, y, 0.5, 0.5, 0.46) ? 1 : 0
    },
    plaid: (x, y) => (Math.sin(x * 19) + Math.sin(y * 13)) / 2,
    tiles: (x, y) => {
      const [u, v] = [Math.floor(x * 4), Math.floor(y * 4)]
      const weight = ((u * 3 + v * 5) % 7) / 3 - 1
      return within((x * 4) % 1, (y * 4) % 1, 0.5, 0.5, 0.38) ? weight : weight * 0.25
    },
    circle: (x, y) => (within(x, y, 0.5, 0.5, 0.4) ? 1 : -0.3),
    noise: () => Math.max(-1, Math.min(1, next() / 2)),
  }
  return fill(n, n, (i, j) => of[name]((j + 0.5) / n, (i + 0.5) / n))
}

type Gradients = Record<string, Matrix>

/** d(sum of squares)/d(factor), halved, of every factor. */
export function gradients(change: Change, error: Matrix): Gradients {
  const { factors: f, method } = change
  const ofProduct = (a: string, b: string, g: Matrix): Gradients => ({
    [a]: multiply(g, transposed(f[b]!)),
    [b]: multiply(transposed(f[a]!), g),
  })
  if (method === 'lora') return ofProduct('B', 'A', error)
  const { w1: one, w2: two } = halves(change)
  let [g1, g2] = [error, error]
  if (method === 'loha') {
    g1 = hadamard(error, two)
    g2 = hadamard(error, one)
  } else {
    g1 = zeros(one.rows, one.cols)
    g2 = zeros(two.rows, two.cols)
    for (let i = 0; i < error.rows; i++)
      for (let j = 0; j < error.cols; j++) {
        const a = Math.floor(i / two.rows) * one.cols + Math.floor(j / two.cols)
        const b = (i % two.rows) * two.cols + (j % two.cols)
        const e = error.data[i * error.cols + j]!
        g1.data[a]! += e * two.data[b]!
        g2.data[b]! += e * one.data[a]!
      }
  }
  return {
    ...(f.w1 ? { w1: g1 } : ofProduct('w1_a', 'w1_b', g1)),
    ...(f.w2 ? { w2: g2 } : ofProduct('w2_a', 'w2_b', g2)),
  }
}

export const FIT_STEPS = 400

/** One method on its way to a picture. */
export class Fit {
  change: Change
  /** mean squared error over the picture's own mean square, after each step */
  errors: number[] = []
  #target: Matrix
  #power: number
  #moments: Record<string, [Float64Array, Float64Array]> = {}

  constructor(method: Method, count: Count, target: Matrix, seed: number) {
    this.#target = target
    this.#power = target.data.reduce((sum, x) => sum + x * x, 0)
    const start = randomChange(method, count, seed)
    for (const m of Object.values(start.factors)) m.data.forEach((x, i) => (m.data[i] = x * 0.5))
    this.change = start
    this.errors.push(this.#error().share)
  }

  #error(): { error: Matrix; share: number } {
    const error = materialise(this.change)
    let sum = 0
    for (let i = 0; i < error.data.length; i++) {
      error.data[i]! -= this.#target.data[i]!
      sum += error.data[i]! ** 2
    }
    return { error, share: sum / this.#power }
  }

  step(): void {
    const t = this.errors.length
    // warm, then cooling, so that it comes to rest
    const rate = 0.05 * Math.cos((Math.PI / 2) * Math.min(1, t / FIT_STEPS)) + 1e-4
    const factors: Record<string, Matrix> = {}
    const found = gradients(this.change, this.#error().error)
    for (const [name, gradient] of Object.entries(found)) {
      const old = this.change.factors[name]!
      const length = old.data.length
      const [m, v] = (this.#moments[name] ??= [new Float64Array(length), new Float64Array(length)])
      const data = new Float64Array(length)
      for (let i = 0; i < length; i++) {
        const g = gradient.data[i]!
        m[i] = 0.9 * m[i]! + 0.1 * g
        v[i] = 0.99 * v[i]! + 0.01 * g * g
        const mean = m[i]! / (1 - 0.9 ** t)
        const spread = Math.sqrt(v[i]! / (1 - 0.99 ** t))
        data[i] = old.data[i]! - (rate * mean) / (spread + 1e-12)
      }
      factors[name] = { ...old, data }
    }
    this.change = { ...this.change, factors }
    this.errors.push(this.#error().share)
  }
}
