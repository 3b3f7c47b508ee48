/** How many numbers each method stores for one weight, and the highest rank that they allow. */

import type { Method } from '../../state/choices'

export type Convention = 'peft' | 'lycoris'
export type Shape = readonly [number, number]

export interface Stored {
  /** as PEFT calls it, without `lora_`, `hada_` or `lokr_` */
  name: string
  shape: Shape
}

export interface Count {
  stored: Stored[]
  numbers: number
  /** The bound is the product of the least number of each list. */
  boundTerms: number[][]
  bound: number
}

export interface LokrOptions {
  factor: number
  convention: Convention
  /** `decompose_both`: the first factor low-rank too, where that is smaller */
  both: boolean
  /** LyCORIS's `full_matrix`: both factors whole, whatever `r` */
  whole: boolean
}

const product = (numbers: readonly number[]) => numbers.reduce((a, b) => a * b, 1)

function counted(stored: Stored[], boundTerms: number[][]): Count {
  return {
    stored,
    numbers: stored.reduce((sum, { shape }) => sum + product(shape), 0),
    boundTerms,
    bound: product(boundTerms.map((terms) => Math.min(...terms))),
  }
}

export function countLora([out, in_]: Shape, r: number): Count {
  return counted(
    [
      { name: 'B', shape: [out, r] },
      { name: 'A', shape: [r, in_] },
    ],
    [[r, out, in_]],
  )
}

/** Two ranks, for FedPara's propositions; PEFT and LyCORIS have one. */
export function countLoha([out, in_]: Shape, r1: number, r2 = r1): Count {
  return counted(
    [
      { name: 'w1_a', shape: [out, r1] },
      { name: 'w1_b', shape: [r1, in_] },
      { name: 'w2_a', shape: [out, r2] },
      { name: 'w2_b', shape: [r2, in_] },
    ],
    [[r1 * r2, out, in_]],
  )
}

export function countLokr(
  [out, in_]: Shape,
  r: number,
  { factor, convention, both, whole }: LokrOptions,
): Count {
  const [ol, ok] = factorize(out, factor, convention)
  const [im, in_n] = factorize(in_, factor, convention)
  const small = (a: number, b: number) => !whole && 2 * r < Math.max(a, b)
  const low1 = both && small(ol, im)
  const low2 = small(ok, in_n)
  const factorOf = (name: string, a: number, b: number, low: boolean): Stored[] =>
    low
      ? [
          { name: `${name}_a`, shape: [a, r] },
          { name: `${name}_b`, shape: [r, b] },
        ]
      : [{ name, shape: [a, b] }]
  return counted(
    [...factorOf('w1', ol, im, low1), ...factorOf('w2', ok, in_n, low2)],
    [low1 ? [r, ol, im] : [ol, im], low2 ? [r, ok, in_n] : [ok, in_n]],
  )
}

export function count(method: Method, shape: Shape, r: number, lokr: LokrOptions): Count {
  if (method === 'lora') return countLora(shape, r)
  return method === 'loha' ? countLoha(shape, r) : countLokr(shape, r, lokr)
}

/**
 * How PEFT and LyCORIS split a side of the weight in two; they differ where the factor divides the
 * side and is the larger part: PEFT keeps (factor, rest), LyCORIS sorts.
 */
export function factorize(side: number, factor: number, convention: Convention): [number, number] {
  if (factor > 0 && side % factor === 0) {
    const rest = side / factor
    return convention === 'lycoris' && factor > rest ? [rest, factor] : [factor, rest]
  }
  const most = factor === -1 ? side : factor
  let [small, large] = [1, side]
  for (let next = 2; next <= most && small < large; next++) {
    if (side % next) continue
    // the next divisor may be past the middle: then the pair is the same, turned round
    small = next
    large = side / next
  }
  return small <= large ? [small, large] : [large, small]
}

export function divisors(n: number): number[] {
  const low: number[] = []
  const high: number[] = []
  for (let d = 1; d * d <= n; d++) {
    if (n % d) continue
    low.push(d)
    if (d * d !== n) high.unshift(n / d)
  }
  return [...low, ...high]
}

/** -1 and the factors that split this weight each in another way, with what they cost. */
export function factorChoices(
  shape: Shape,
  r: number,
  options: Omit<LokrOptions, 'factor'>,
): { factor: number; count: Count }[] {
  const seen = new Set<string>()
  const found: { factor: number; count: Count }[] = []
  const sides = new Set([...divisors(shape[0]), ...divisors(shape[1])])
  for (const factor of [-1, ...[...sides].sort((a, b) => a - b)]) {
    const split = shape.map((side) => factorize(side, factor, options.convention)).join()
    if (seen.has(split)) continue
    seen.add(split)
    found.push({ factor, count: countLokr(shape, r, { ...options, factor }) })
  }
  return found
}

/** What each method gets: the same r, or about as many numbers as LoHa takes at this r. */
export type Mode = 'rank' | 'budget'

/**
 * At the same budget LoRA's r is twice LoHa's, to the number. LoKr moves in steps: of its ranks, and
 * with factor -1 of its factors too, the one that costs most within the budget, and of equals the
 * highest rank.
 */
export function shares(
  shape: Shape,
  r: number,
  mode: Mode,
  lokr: LokrOptions,
): Record<Method, { r: number; factor: number; count: Count }> {
  const least = Math.min(...shape)
  const loha = countLoha(shape, r)
  const plain = (r: number, count: Count) => ({ r, factor: lokr.factor, count })
  if (mode === 'rank')
    return {
      lora: plain(r, countLora(shape, r)),
      loha: plain(r, loha),
      lokr: plain(r, countLokr(shape, r, lokr)),
    }
  const factors = lokr.factor === -1 ? factorChoices(shape, 1, lokr) : [{ factor: lokr.factor }]
  let best = { r: 1, factor: lokr.factor, count: countLokr(shape, 1, lokr) }
  for (const { factor } of factors)
    for (let k = 1; k <= least; k++) {
      const count = countLokr(shape, k, { ...lokr, factor })
      const better =
        count.numbers > best.count.numbers ||
        (count.numbers === best.count.numbers && count.bound > best.count.bound)
      if (count.numbers <= loha.numbers && better) best = { r: k, factor, count }
      if (count.numbers > loha.numbers || !count.stored.some(({ name }) => name === 'w2_a')) break
    }
  return { lora: plain(2 * r, countLora(shape, 2 * r)), loha: plain(r, loha), lokr: best }
}
