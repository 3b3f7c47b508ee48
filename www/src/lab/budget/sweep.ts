/** The measured sweep: held-out loss by method, rank and factor, two seeds each. */

import type { Method } from '../../state/choices'
import { count, type Shape } from '../maths/count'
import type { SweepCountry } from '../settings'
import runs from './sweep.json'

export interface Setting {
  method: Method
  r: number
  /** LoKr alone */
  factor: number | null
  numbers: number
  /** nats a token, one for each seed */
  losses: number[]
  mean: number
  /** of one weight of 128 x 128 */
  bound: number
}

const SQUARE: Shape = [128, 128]

export const baseLoss = (country: SweepCountry): number =>
  runs.find((run) => run.country === country)!.base

export function settingsOf(country: SweepCountry): Setting[] {
  const found = new Map<string, Setting>()
  for (const run of runs) {
    if (run.country !== country) continue
    const { r, numbers, loss } = run
    const method = run.method as Method
    const factor = run.factor ?? null
    const key = `${method} ${r} ${factor}`
    const lokr = { factor: factor ?? -1, convention: 'peft', both: false, whole: false } as const
    const setting = found.get(key) ?? {
      method,
      r,
      factor,
      numbers,
      losses: [],
      mean: 0,
      bound: count(method, SQUARE, r, lokr).bound,
    }
    setting.losses.push(loss)
    setting.mean = setting.losses.reduce((a, b) => a + b, 0) / setting.losses.length
    found.set(key, setting)
  }
  return [...found.values()].sort((a, b) => a.numbers - b.numbers)
}

/** The largest difference between two seeds of one setting: what is nearer than that is a tie. */
export const spread = (all: readonly Setting[]): number =>
  Math.max(...all.map(({ losses }) => Math.max(...losses) - Math.min(...losses)))

export const find = (all: readonly Setting[], method: Method, r: number): Setting | undefined =>
  all.find((s) => s.method === method && s.r === r)

/**
 * PEFT's own benchmark (method_comparison/MetaMathQA): Llama-3.2-3B, adapters on q and v, single runs
 * whose learning rates and other settings differ.
 */
export const PEFT_BENCHMARK = [
  { name: 'full fine-tuning', method: null, numbers: null, accuracy: 0.472 },
  { name: 'LoRA, r 32', method: 'lora', numbers: 9_175_040, accuracy: 0.478 },
  { name: 'LoRA, r 64', method: 'lora', numbers: 18_350_080, accuracy: 0.474 },
  { name: 'LoRA, r 64, rsLoRA', method: 'lora', numbers: 18_350_080, accuracy: 0.513 },
  { name: 'LoHa, r 32', method: 'loha', numbers: 18_350_080, accuracy: 0.393 },
  { name: 'LoKr, r 32, factor 4', method: 'lokr', numbers: 2_294_656, accuracy: 0.466 },
] as const
export const PEFT_BENCHMARK_PAGE =
  'https://github.com/huggingface/peft/tree/main/method_comparison/MetaMathQA'
