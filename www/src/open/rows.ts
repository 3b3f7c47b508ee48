/** The rows of the table: what the header says of a module, and what was measured of it. */

import type { AdapterModule } from 'lokahi'
import type { Method } from '../state/choices'
import type { Measured } from './measurer.svelte'
import type { OpenSettings, Sort } from './settings'

export interface Row {
  module: AdapterModule
  measured: Measured | undefined
  /** Place in the file. */
  index: number
}

export const methodOf = ({ method }: AdapterModule): Method => method.toLowerCase() as Method

const VALUES: Record<Sort, (row: Row) => string | number | undefined> = {
  name: ({ module }) => module.name,
  method: ({ module }) => module.method,
  shape: ({ module }) => module.shape[0] * module.shape[1],
  rank: ({ module }) => module.rank,
  alpha: ({ module }) => module.alpha,
  scale: ({ module }) => module.scale,
  parameters: ({ module }) => module.parameters,
  bound: ({ module }) => module.rankBound,
  numerical: ({ measured }) => measured?.spectrum?.numericalRank,
  stable: ({ measured }) => measured?.spectrum?.stableRank,
  entropy: ({ measured }) => measured?.spectrum?.entropyRank,
  norm: ({ measured }) => measured?.spectrum?.frobeniusNorm,
}

/** Whether a column holds words, which are read from A; of numbers the largest are looked for. */
export const isText = (sort: Sort): boolean => sort === 'name' || sort === 'method'

const { compare } = new Intl.Collator('en', { numeric: true })

/** The rows that have all words of the search, in the wanted order; what is not known stands last. */
export function arrange(rows: readonly Row[], settings: OpenSettings): Row[] {
  const { search, sort, descending } = settings
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  const kept = rows.filter(({ module }) => {
    const text = `${module.name} ${module.method}`.toLowerCase()
    return words.every((word) => text.includes(word))
  })
  if (sort === null) return kept
  const value = VALUES[sort]
  const sign = descending ? -1 : 1
  return kept
    .map((row) => ({ row, key: value(row) }))
    .sort(({ row: a, key: x }, { row: b, key: y }) => {
      if (x === undefined || y === undefined)
        return Number(x === undefined) - Number(y === undefined) || a.index - b.index
      const order = typeof x === 'number' ? x - (y as number) : compare(x, y as string)
      return sign * order || a.index - b.index
    })
    .map(({ row }) => row)
}

const places = new Map<string, { layer: string; kind: string }>()

/** Found once: the map of energy is made again whenever something was measured. */
function placeOf(name: string): { layer: string; kind: string } {
  const known = places.get(name)
  if (known) return known
  if (places.size > 10_000) places.clear()
  const place = splitName(name)
  places.set(name, place)
  return place
}

/** `attn` of layer 3: the part of a name up to its last numbered block, and what is below it. */
function splitName(name: string): { layer: string; kind: string } {
  const blocks =
    /(?:^|[._])(?:\w*(?:blocks|layers|attentions|resnets|layer|block)|h)[._]\d+(?=[._])/g
  let end = 0
  for (const match of name.matchAll(blocks)) end = match.index + match[0].length
  return end === 0
    ? { layer: '', kind: name }
    : { layer: name.slice(0, end), kind: name.slice(end + 1) }
}

export interface EnergyCell {
  norm: number
  method: Method
}

/** The Frobenius norms of all measured modules by kind and layer, the kinds with most energy first. */
export interface EnergyMap {
  layers: string[]
  kinds: { kind: string; energy: number; cells: (EnergyCell | undefined)[] }[]
  /** Sum of squares of each layer. */
  byLayer: number[]
  energy: number
  largest: number
}

export function energyOf(rows: readonly Row[]): EnergyMap {
  const named = rows.map((row) => ({ row, ...placeOf(row.module.name) }))
  // Without numbered blocks the modules themselves stand side by side.
  const all = named.some(({ layer }) => layer !== '')
    ? named
    : named.map(({ row, kind }) => ({ row, layer: kind, kind: '' }))
  const layers = [...new Set(all.map(({ layer }) => layer))].sort(compare)
  const at = new Map(layers.map((layer, i) => [layer, i]))
  const kinds = new Map<string, EnergyMap['kinds'][number]>()
  const byLayer = layers.map(() => 0)
  let [energy, largest] = [0, 0]
  for (const { row, layer, kind } of all) {
    const found = kinds.get(kind) ?? { kind, energy: 0, cells: layers.map(() => undefined) }
    kinds.set(kind, found)
    const norm = row.measured?.spectrum?.frobeniusNorm
    if (norm === undefined) continue
    const i = at.get(layer)!
    found.cells[i] = { norm, method: methodOf(row.module) }
    found.energy += norm * norm
    byLayer[i]! += norm * norm
    energy += norm * norm
    largest = Math.max(largest, norm)
  }
  const sorted = [...kinds.values()].sort((a, b) => b.energy - a.energy)
  return { layers, kinds: sorted, byLayer, energy, largest }
}

const COLUMNS: [string, (row: Row) => string | number | undefined][] = [
  ['name', VALUES.name],
  ['method', VALUES.method],
  ['out', ({ module }) => module.shape[0]],
  ['in', ({ module }) => module.shape[1]],
  ['rank', VALUES.rank],
  ['alpha', VALUES.alpha],
  ['scale', VALUES.scale],
  ['parameters', VALUES.parameters],
  ['rankBound', VALUES.bound],
  ['numericalRank', VALUES.numerical],
  ['stableRank', VALUES.stable],
  ['entropyRank', VALUES.entropy],
  ['frobeniusNorm', VALUES.norm],
  ['spectralNorm', ({ measured }) => measured?.spectrum?.spectralNorm],
  ['dtype', ({ module }) => module.dtype],
  ['findings', ({ measured }) => measured?.findings.map(({ code }) => code).join(' ')],
]

/** A table for a spreadsheet, which would run a text that looks like a formula. */
export function toCsv(rows: readonly Row[]): string {
  const cell = (value: string | number | undefined) => {
    if (typeof value !== 'string') return String(value ?? '')
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  }
  const lines = rows.map((row) => COLUMNS.map(([, value]) => cell(value(row))).join(','))
  return [COLUMNS.map(([name]) => name).join(','), ...lines, ''].join('\r\n')
}
