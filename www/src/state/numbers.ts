/** Numbers as they are shown: thin spaces in thousands, few digits. */

const THIN = '\u202f'

export const thousands = (n: number): string =>
  String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, THIN)

export const fixed = (n: number, digits: number): string => n.toFixed(digits)

/** About three significant digits: 0.0123, 1.23, 12.3, 123; tiny ones as 1.2·10⁻⁶. */
export function short(n: number): string {
  if (n === 0) return '0'
  const exponent = Math.floor(Math.log10(Math.abs(n)))
  if (exponent < -3) return `${(n / 10 ** exponent).toFixed(1)}·10${superscript(exponent)}`
  return n.toFixed(Math.max(0, 2 - exponent))
}

/** A number in words with a minus sign in place of the hyphen. */
export const minus = (text: string): string => text.replace('-', '−')

/** Milliseconds; browsers measure a tenth. */
export const milliseconds = (n: number): string => fixed(n, n < 10 ? 1 : 0)

export const superscript = (n: number): string =>
  [...String(n)].map((c) => (c === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(c)])).join('')

export const shape = ([out, in_]: readonly [number, number]): string =>
  `${out}${THIN}×${THIN}${in_}`

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
