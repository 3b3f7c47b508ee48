import { call, wait } from './errors.js'
import { CoreCosts, CoreProduct, CoreSource, type CoreDevice } from './lokahi.js'

/**
 * A way to run a product: the base alone; the base and the factors beside it; or the two summed into
 * one weight, in F32 and in memory of its own.
 */
export type Form = 'base' | 'structured' | 'merged'

export const FORMS: readonly Form[] = ['base', 'structured', 'merged']

/** What the ways to run a product would take, by what a few known products took on this device. */
export interface Plan {
  /** The faster of the two forms with the adapters. Merging takes memory: it must save 8 %. */
  choice: Exclude<Form, 'base'>
  /** Milliseconds. */
  times: Readonly<Record<Form, number>>
  /** Bytes that the merged weight takes. */
  bytes: number
  /** What decides, in a sentence. */
  why: string
}

/** As the core has it, forms by number. */
export interface CorePlan {
  times: [number, number, number]
  bytes: number
  choice: number
  base: number
}

export function toPlan({ times, bytes, choice }: CorePlan): Plan {
  const [base, structured, merged] = times
  const saved = Math.round(100 * (1 - merged / structured))
  const word = saved < 0 ? 'costs' : 'saves'
  return {
    choice: FORMS[choice] as Plan['choice'],
    times: { base, structured, merged },
    bytes,
    why: `merging ${word} ${Math.abs(saved)} % of the time and takes ${(bytes / 1e6).toFixed(1)} MB`,
  }
}

/** Milliseconds of the shorter of two runs: long against the clock of any browser, short to wait for. */
const SHORT = 5
/** Rounds over all probes, of which the fastest times count: what disturbs a moment does not stay. */
const ROUNDS = 5

/** What is known of each device, in milliseconds by probe; NaN is what was not measured. */
const known = new WeakMap<object, number[]>()
const CPU = {}
let measuring: Promise<unknown> = Promise.resolve()

/** What a device takes: the probes of these names or numbers are measured where they are not yet. */
export function costs(
  device: CoreDevice | undefined,
  wanted: readonly (string | number)[],
): Promise<CoreCosts> {
  const measured = measuring.then(async () => {
    const rows = call(() => CoreCosts.rows())
    const times = known.get(device ?? CPU) ?? Array(CoreCosts.probes() * rows.length).fill(NaN)
    known.set(device ?? CPU, times)
    const all = wanted.map((name) =>
      typeof name === 'number' ? name : call(() => CoreCosts.probe(name)),
    )
    const missing = [...new Set(all)].flatMap((probe) =>
      [...rows.entries()]
        .map(([at, count]) => ({ probe, count, place: probe * rows.length + at }))
        .filter(({ place }) => Number.isNaN(times[place])),
    )
    const found = await probed(device, missing)
    for (const [i, { place }] of missing.entries()) times[place] = found[i]
    return call(() => new CoreCosts(Float64Array.from(times)))
  })
  // One at a time: they would slow each other. What went wrong is told to whoever asked.
  measuring = measured.catch(() => {})
  return measured
}

/** Milliseconds of each probe: of a delta, what it takes more than the base. */
async function probed(
  device: CoreDevice | undefined,
  probes: readonly { probe: number; count: number }[],
): Promise<number[]> {
  const deltas = ['lora', 'loha', 'lokr'].map((name) => CoreCosts.probe(name))
  const products = new Map<number, CoreProduct>()
  try {
    for (const { probe } of probes) {
      if (products.has(probe)) continue
      const source = call(() => CoreSource.probe(probe))
      products.set(probe, open(source, device))
      source.free()
    }
    const paces = probes.map(({ probe, count }) => {
      const product = products.get(probe)!
      const forms: Form[] = deltas.includes(probe) ? ['base', 'structured'] : ['base']
      return forms.map((form) => pace(product, form, count))
    })
    for (let round = 0; round < ROUNDS; round++) for (const one of paces.flat()) await one.look()
    return paces.map(([base, more]) => (more ? Math.max(0, more.ms() - base.ms()) : base.ms()))
  } finally {
    for (const product of products.values()) product.free()
  }
}

export function open(source: CoreSource, device: CoreDevice | undefined): CoreProduct {
  return call(() => (device ? CoreProduct.onDevice(source, device) : CoreProduct.onCpu(source)))
}

/** Milliseconds of so many runs and one reading. */
export async function lasting(
  product: CoreProduct,
  form: Form,
  rows: number,
  times: number,
): Promise<number> {
  const start = performance.now()
  await wait<Float32Array>(() => product.time(FORMS.indexOf(form), rows, times))
  return performance.now() - start
}

/** How many runs last so many milliseconds, warmed up by finding out. */
export async function enough(
  product: CoreProduct,
  form: Form,
  rows: number,
  least: number,
): Promise<number> {
  await lasting(product, form, rows, 1)
  for (let times = 1; ;) {
    let ms = await lasting(product, form, rows, times)
    // Once more, as something else may have taken the time; what is slow by itself is not asked twice.
    if (ms >= least && ms < 10 * least) ms = Math.min(ms, await lasting(product, form, rows, times))
    if (ms >= least || times >= 1 << 16) return times
    times = Math.ceil(times * Math.min(16, Math.max(2, (1.2 * least) / Math.max(ms, 0.1))))
  }
}

/** How long one run takes: what twice as many take longer, so that the reading is left out. */
function pace(product: CoreProduct, form: Form, rows: number) {
  const runs = (times: number) => lasting(product, form, rows, times)
  let times = 0
  let once = Infinity
  let twice = Infinity
  return {
    async look() {
      times ||= await enough(product, form, rows, SHORT)
      once = Math.min(once, await runs(times))
      twice = Math.min(twice, await runs(2 * times))
    },
    ms: () => (twice > once ? twice - once : twice / 2) / times,
  }
}
