/** The three methods' changes of one weight, measured. */

import type { Adapter, Spectrum } from 'lokahi'
import { METHODS, type Country, type Method } from './choices'

export interface Measurement {
  method: Method
  adapter: Adapter
  module: Adapter['modules'][number]
  spectrum: Spectrum
}

/** A singular value decomposition is not free, and its adapter does not change. */
const known = new WeakMap<Adapter, Map<string, Promise<Spectrum>>>()

function spectrum(adapter: Adapter, weight: string): Promise<Spectrum> {
  const ofAdapter = known.get(adapter) ?? new Map<string, Promise<Spectrum>>()
  known.set(adapter, ofAdapter)
  const found = ofAdapter.get(weight) ?? adapter.spectrum(weight)
  ofAdapter.set(weight, found)
  return found
}

export function measure(
  adapterOf: (country: Country | null, method: Method) => Adapter | null,
  country: Country | null,
  weight: string,
): Promise<Measurement[]> {
  const found = METHODS.flatMap((method) => {
    const adapter = adapterOf(country, method)
    const module = adapter?.modules.find((m) => m.name === weight)
    if (!adapter || !module) return []
    return [spectrum(adapter, weight).then((spectrum) => ({ method, adapter, module, spectrum }))]
  })
  return Promise.all(found)
}
