/** One weight's change by its factors: made, built step by step, measured, explained cell by cell. */

import type { Method } from '../../state/choices'
import type { Count } from './count'
import { at, dice, fill, hadamard, kronecker, multiply, type Matrix } from './matrix'
import { ofHadamard, ofKronecker, ofProduct, singularValues } from './svd'

export interface Change {
  method: Method
  /** multiplies the product */
  scale: number
  /** `B`, `A`; `w1_a` ... `w2_b`; `w1` or its two halves, `w2` or its two halves */
  factors: Readonly<Record<string, Matrix>>
  bound: number
}

/** LoRA's and LoHa's r; how many blocks LoKr lays. */
export function steps({ method, factors }: Change): number {
  if (method === 'lora') return factors.A!.rows
  if (method === 'loha') return factors.w1_b!.rows
  const rows = (factors.w1 ?? factors.w1_a)!.rows
  const cols = (factors.w1 ?? factors.w1_b)!.cols
  return rows * cols
}

export const stepsDone = (change: Change, built: number): number =>
  Math.floor(built * steps(change) + 1e-9)

export type Halves = Record<'w1' | 'w2', Matrix>

/** What LoHa and LoKr multiply: LoHa's two products of so many layers, LoKr's `w1` and `w2`. */
export function halves({ factors }: Change, layers?: number): Halves {
  const half = (name: 'w1' | 'w2') =>
    factors[name] ?? multiply(factors[`${name}_a`]!, factors[`${name}_b`]!, layers)
  return { w1: half('w1'), w2: half('w2') }
}

/** dW of the first so many steps, scale included; of halves that are made already, if they are given. */
export function materialise(change: Change, first = steps(change), made?: Halves): Matrix {
  const { method, factors, scale } = change
  let m: Matrix
  if (method === 'lora') m = multiply(factors.B!, factors.A!, first)
  else {
    const { w1, w2 } = made ?? halves(change, method === 'loha' ? first : undefined)
    m = method === 'loha' ? hadamard(w1, w2) : kronecker(w1, w2, first)
  }
  if (scale !== 1) for (let i = 0; i < m.data.length; i++) m.data[i]! *= scale
  return m
}

/** The singular values that can differ from zero, through the factors. */
export function spectrum({ method, factors: f, scale, bound }: Change): number[] {
  const half = (name: string) =>
    f[name] ? singularValues(f[name]) : ofProduct(f[`${name}_a`]!, f[`${name}_b`]!)
  const sigma =
    method === 'lora'
      ? ofProduct(f.B!, f.A!)
      : method === 'loha'
        ? ofHadamard(f.w1_a!, f.w1_b!, f.w2_a!, f.w2_b!)
        : ofKronecker(half('w1'), half('w2'))
  return sigma.slice(0, bound).map((x) => x * Math.abs(scale))
}

/** Factors from a seed, scaled so that the numbers of dW have a variance of about 1. */
export function randomChange(method: Method, { stored, bound }: Count, seed: number): Change {
  const next = dice(seed * 3 + { lora: 0, loha: 1, lokr: 2 }[method])
  const factors = Object.fromEntries(
    stored.map(({ name, shape: [rows, cols] }) => {
      const r = name === 'B' || name.endsWith('_a') ? cols : rows
      const deviation = /^(A|B|w[12]_[ab])$/.test(name) ? r ** -0.25 : 1
      return [name, fill(rows, cols, () => deviation * next())]
    }),
  )
  return { method, scale: 1, factors, bound }
}

/** What of a factor went into a cell: one row, one column, or one cell of it. */
export interface Lit {
  row?: number
  col?: number
}

/** A sum of products in brackets, or one number. */
export interface Term {
  /** `B[8, k] A[k, 10]` or `w1[2, 3]`, counted from 1 */
  name: string
  pairs: [number, number][]
  value: number
}

export interface Cell {
  lit: Record<string, Lit>
  /** dW[i, j] is the scale times the product of these */
  terms: Term[]
  value: number
  /** LoKr: which block, as row and column of `w1` */
  block?: [number, number]
}

/** How dW[i, j] came to be, with the first so many steps. */
export function explain(change: Change, i: number, j: number, first = steps(change)): Cell {
  const { method, factors: f, scale } = change
  const lit: Record<string, Lit> = {}
  const sum = (a: string, b: string, row: number, col: number, layers: number): Term => {
    lit[a] = { row }
    lit[b] = { col }
    const pairs = Array.from({ length: layers }, (_, k): [number, number] => [
      at(f[a]!, row, k),
      at(f[b]!, k, col),
    ])
    return {
      name: `${a}[${row + 1}, :] · ${b}[:, ${col + 1}]`,
      pairs,
      value: pairs.reduce((s, [x, y]) => s + x * y, 0),
    }
  }
  const one = (name: 'w1' | 'w2', row: number, col: number): Term => {
    if (!f[name]) return sum(`${name}_a`, `${name}_b`, row, col, f[`${name}_b`]!.rows)
    lit[name] = { row, col }
    return { name: `${name}[${row + 1}, ${col + 1}]`, pairs: [], value: at(f[name], row, col) }
  }
  let terms: Term[]
  let block: [number, number] | undefined
  if (method === 'lora') terms = [sum('B', 'A', i, j, first)]
  else if (method === 'loha')
    terms = [sum('w1_a', 'w1_b', i, j, first), sum('w2_a', 'w2_b', i, j, first)]
  else {
    const inner = [(f.w2 ?? f.w2_a)!.rows, (f.w2 ?? f.w2_b)!.cols] as const
    block = [Math.floor(i / inner[0]), Math.floor(j / inner[1])]
    terms = [one('w1', ...block), one('w2', i % inner[0], j % inner[1])]
    const cols = (f.w1 ?? f.w1_b)!.cols
    if (block[0] * cols + block[1] >= first) return { lit, terms, value: 0, block }
  }
  const value = terms.reduce((product, term) => product * term.value, scale)
  return block ? { lit, terms, value, block } : { lit, terms, value }
}
