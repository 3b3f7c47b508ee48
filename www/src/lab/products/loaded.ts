/** The factors of one weight in the three adapters of a country, read from their files. */

import { factorName } from '../../figures/factors'
import type { Country } from '../../state/choices'
import type { Measurement } from '../../state/measure'
import type { Change } from '../maths/change'
import { readTensors } from '../maths/tensors'

const files = new Map<string, Promise<ArrayBuffer>>()

/** The browser has the file already: the player fetched it. */
function file(country: Country, method: string): Promise<ArrayBuffer> {
  const path = `./places/adapters/${country}-${method}/adapter_model.safetensors`
  const found =
    files.get(path) ??
    fetch(new URL(path, document.baseURI)).then((answer) => {
      if (!answer.ok) throw new Error(`${path}: ${answer.status}`)
      return answer.arrayBuffer()
    })
  files.set(path, found)
  found.catch(() => files.delete(path))
  return found
}

export function loaded(country: Country, measurements: readonly Measurement[]): Promise<Change[]> {
  return Promise.all(
    measurements.map(async ({ method, module }) => {
      const named = module.tensors.map(({ name }) => ({
        factor: factorName(name),
        key: `base_model.model.${module.name}.${name}`,
      }))
      const tensors = readTensors(
        await file(country, method),
        named.map(({ key }) => key),
      )
      return {
        method,
        scale: module.scale,
        bound: module.rankBound,
        factors: Object.fromEntries(named.map(({ factor, key }) => [factor, tensors.get(key)!])),
      }
    }),
  )
}
