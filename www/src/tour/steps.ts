/** The steps of the guided tour: each is a setting of the page and the place that it is about. */

import { LAB, type LabSettings } from '../lab/settings'
import { DEFAULTS, type Part, type Settings } from '../state/settings'

export const IDS = [
  'play',
  'lora',
  'loha',
  'lokr',
  'count',
  'crossover',
  'budget',
  'smollm2',
  'open',
  'measure',
] as const
export type StepId = (typeof IDS)[number]

interface Step {
  part: Part
  /** within the part; the whole part where absent */
  at?: string
  set: Partial<Omit<Settings, 'lab'>>
  lab?: Partial<LabSettings>
}

/** Small enough to see each layer, and LoKr's split leaves its second factor low-rank. */
const PRODUCTS = { size: 32, layers: 4, factor: 2 }
export const COUNTED = { out: 1024, in: 1024, r: 16 }
export const EVEN = 2

export const STEPS: Readonly<Record<StepId, Step>> = {
  play: { part: 'play', set: { country: 'fi', method: 'lokr' } },
  lora: {
    part: 'products',
    at: '[data-testid=product-lora]',
    set: {},
    lab: { ...PRODUCTS, built: 0.5 },
  },
  loha: { part: 'products', at: '[data-testid=product-loha]', set: {}, lab: PRODUCTS },
  lokr: { part: 'products', at: '[data-testid=product-lokr]', set: {}, lab: PRODUCTS },
  count: { part: 'count', at: '.columns', set: {}, lab: COUNTED },
  crossover: { part: 'count', at: '.columns', set: {}, lab: { r: EVEN, mode: 'budget' } },
  budget: {
    part: 'budget',
    at: '> svg',
    set: { country: 'it' },
    lab: { sweep: 'it', only: 'lora' },
  },
  smollm2: { part: 'smollm2', set: {} },
  open: { part: 'open', set: {} },
  measure: { part: 'measure', set: {} },
}

export const selector = ({ part, at = '' }: Step): string => `[data-part=${part}] ${at}`.trim()

/** The whole setting of a step. Whoever looks keeps what is not about the page's subject. */
export function settingOf({ set, lab }: Step, of: Settings): Settings {
  const { language, theme, device, hide, embed, tour, open, measure } = of
  const own = { language, theme, device, hide, embed, tour, open, measure }
  return { ...DEFAULTS, ...set, ...own, lab: { ...LAB, ...lab } }
}
