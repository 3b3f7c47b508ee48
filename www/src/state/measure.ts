/** The three methods' changes of one weight, measured. */

import type { Adapter } from 'lokahi'
import { METHODS, type Country, type Method } from './choices'

export interface Measurement {
  method: Method
  adapter: Adapter
  module: Adapter['modules'][number]
  spectrum: ReturnType<Adapter['spectrum']>
}

/** A singular value decomposition is not free, and its adapter does not change. */
const known = new WeakMap<Adapter, Map<string, Measurement['spectrum']>>()

function spectrum(adapter: Adapter, weight: string): Measurement['spectrum'] {
  const ofAdapter = known.get(adapter) ?? new Map<string, Measurement['spectrum']>()
  known.set(adapter, ofAdapter)
  const found = ofAdapter.get(weight) ?? adapter.spectrum(weight)
  ofAdapter.set(weight, found)
  return found
}

export function measure(
  adapterOf: (country: Country | null, method: Method) => Adapter | null,
  country: Country | null,
  weight: string,
): Measurement[] {
  return METHODS.flatMap((method) => {
    const adapter = adapterOf(country, method)
    const module = adapter?.modules.find((m) => m.name === weight)
    return adapter && module
      ? [{ method, adapter, module, spectrum: spectrum(adapter, weight) }]
      : []
  })
}
