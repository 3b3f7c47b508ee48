/** What can be set in the lab, and its form in the address. */

import { METHODS, type Method } from '../state/choices'
import type { Convention, LokrOptions, Mode } from './maths/count'
import { MODELS, TARGETS, type Target } from './maths/shapes'

export const MODES = ['rank', 'budget'] as const satisfies readonly Mode[]
export const CONVENTIONS = ['peft', 'lycoris'] as const satisfies readonly Convention[]
export const SOURCES = ['random', 'adapter', 'picture'] as const
export type Source = (typeof SOURCES)[number]
export const PICTURES = ['face', 'plaid', 'tiles', 'circle', 'noise'] as const
export type Picture = (typeof PICTURES)[number]
export const SWEEP_COUNTRIES = ['it', 'jp'] as const
export type SweepCountry = (typeof SWEEP_COUNTRIES)[number]

export interface LabSettings {
  // count and rank
  out: number
  in: number
  r: number
  mode: Mode
  convention: Convention
  /** LoKr's `decompose_factor` */
  factor: number
  both: boolean
  whole: boolean
  r1: number
  r2: number
  /** exponent of the numerical rank's threshold */
  threshold: number
  model: string
  target: Target
  /** bytes of a frozen number */
  bytes: number
  /** the optimiser's numbers for each trained one */
  states: number
  width: number
  prefix: number
  // the products
  source: Source
  picture: Picture
  size: number
  layers: number
  dice: number
  /** how much is built, 0 to 1 */
  built: number
  row: number
  col: number
  // what a budget buys
  sweep: SweepCountry
  /** which method's points are strong; null: all */
  only: Method | null
}

export const LAB: LabSettings = {
  out: 1024,
  in: 1024,
  r: 4,
  mode: 'rank',
  convention: 'peft',
  factor: -1,
  both: false,
  whole: false,
  r1: 3,
  r2: 3,
  threshold: -4,
  model: 'llama3b',
  target: 'qv',
  bytes: 2,
  states: 2,
  width: 64,
  prefix: 32,
  source: 'random',
  picture: 'face',
  size: 24,
  layers: 2,
  dice: 1,
  built: 1,
  row: 7,
  col: 9,
  sweep: 'it',
  only: null,
}

/** Whole numbers and their limits; the address names each as it is named here. */
export const LIMITS = {
  out: { min: 1, max: 200_000, step: 1 },
  in: { min: 1, max: 200_000, step: 1 },
  r: { min: 1, max: 512, step: 1 },
  r1: { min: 1, max: 6, step: 1 },
  r2: { min: 1, max: 6, step: 1 },
  factor: { min: -1, max: 200_000, step: 1 },
  threshold: { min: -6, max: -0.1, step: 0.1 },
  width: { min: 1, max: 1024, step: 1 },
  prefix: { min: 1, max: 1024, step: 1 },
  states: { min: 0, max: 2, step: 1 },
  size: { min: 8, max: 256, step: 4 },
  layers: { min: 1, max: 8, step: 1 },
  dice: { min: 0, max: 9999, step: 1 },
  built: { min: 0, max: 1, step: 0.001 },
  row: { min: 0, max: 9999, step: 1 },
  col: { min: 0, max: 9999, step: 1 },
} as const

/** `whole` is LyCORIS's alone. */
export const lokrOptions = ({ factor, convention, both, whole }: LabSettings): LokrOptions => ({
  factor,
  convention,
  both,
  whole: whole && convention === 'lycoris',
})

const CHOICES = {
  mode: MODES,
  convention: CONVENTIONS,
  source: SOURCES,
  picture: PICTURES,
  target: TARGETS,
  model: MODELS.map(({ id }) => id),
  sweep: SWEEP_COUNTRIES,
} as const

/** In the address all of the lab's keys begin so. */
const MARK = 'lab.'

export function putLab(hash: URLSearchParams, lab: LabSettings): void {
  for (const key of Object.keys(LAB) as (keyof LabSettings)[])
    if (lab[key] !== LAB[key] && lab[key] !== null) hash.set(MARK + key, String(lab[key]))
}

/** What is unknown or out of its limits counts as absent or is brought within. */
export function takeLab(given: URLSearchParams): LabSettings {
  const lab: LabSettings = { ...LAB }
  const numbers = lab as unknown as Record<string, number>
  const words = lab as unknown as Record<string, string>
  for (const [key, { min, max, step }] of Object.entries(LIMITS)) {
    const value = Number(given.get(MARK + key) ?? Number.NaN)
    if (!Number.isFinite(value)) continue
    numbers[key] = Number(
      (Math.round(Math.min(max, Math.max(min, value)) / step) * step).toFixed(3),
    )
  }
  for (const [key, allowed] of Object.entries(CHOICES)) {
    const value = allowed.find((choice) => choice === given.get(MARK + key))
    if (value !== undefined) words[key] = value
  }
  lab.bytes =
    [4, 2, 1, 0.5].find((bytes) => String(bytes) === given.get(`${MARK}bytes`)) ?? LAB.bytes
  lab.both = given.get(`${MARK}both`) === 'true'
  lab.whole = given.get(`${MARK}whole`) === 'true'
  lab.only = METHODS.find((method) => method === given.get(`${MARK}only`)) ?? null
  return lab
}
