/** What can be set in "Measure", and its form in the address. */

export const SHAPES = ['192x576', '576x576', '1536x576', '2048x2048'] as const
export type ShapeName = (typeof SHAPES)[number]
export const DTYPES = ['F32', 'F16', 'Q8_0', 'Q4_1'] as const
export type Dtype = (typeof DTYPES)[number]
/** One token of a text that is being written, a short prompt, a long one. */
export const ROWS = [1, 16, 128] as const
export type Rows = (typeof ROWS)[number]
export const RANK = { min: 1, max: 64, step: 1 }
/** As near to square as can be, and PEFT's usual one. */
export const FACTORS = [-1, 8] as const
export type Factor = (typeof FACTORS)[number]

export interface MeasureSettings {
  shape: ShapeName
  dtype: Dtype
  rows: Rows
  rank: number
  factor: Factor
}

export const MEASURE: MeasureSettings = {
  shape: '576x576',
  dtype: 'F32',
  rows: 1,
  rank: 8,
  factor: -1,
}

export const sizes = (shape: ShapeName): [number, number] =>
  shape.split('x').map(Number) as [number, number]

/** In the address all of its keys begin so. */
const MARK = 'measure.'

export function putMeasure(hash: URLSearchParams, measure: MeasureSettings): void {
  for (const key of Object.keys(MEASURE) as (keyof MeasureSettings)[])
    if (measure[key] !== MEASURE[key]) hash.set(MARK + key, String(measure[key]))
}

/** What is unknown or out of its limits counts as absent or is brought within. */
export function takeMeasure(given: URLSearchParams): MeasureSettings {
  const oneOf = <T extends string | number>(
    key: keyof MeasureSettings,
    allowed: readonly T[],
    usual: T,
  ): T => allowed.find((value) => String(value) === given.get(MARK + key)) ?? usual
  const rank = Number(given.get(`${MARK}rank`) ?? Number.NaN)
  return {
    shape: oneOf('shape', SHAPES, MEASURE.shape),
    dtype: oneOf('dtype', DTYPES, MEASURE.dtype),
    rows: oneOf('rows', ROWS, MEASURE.rows),
    rank: Number.isFinite(rank)
      ? Math.round(Math.min(RANK.max, Math.max(RANK.min, rank)))
      : MEASURE.rank,
    factor: oneOf('factor', FACTORS, MEASURE.factor),
  }
}
