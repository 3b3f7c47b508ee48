/** What can be set in "Open your file", and its form in the address. The file itself is never in it. */

export const SORTS = [
  'name',
  'method',
  'shape',
  'rank',
  'alpha',
  'scale',
  'parameters',
  'bound',
  'numerical',
  'stable',
  'entropy',
  'norm',
] as const
export type Sort = (typeof SORTS)[number]

export interface OpenSettings {
  /** Typed or linked; nothing is asked of it until the visitor presses. */
  address: string
  search: string
  /** null: the order of the file */
  sort: Sort | null
  descending: boolean
}

export const OPEN: OpenSettings = { address: '', search: '', sort: null, descending: false }

export const ADDRESS_LENGTH = 1000
export const SEARCH_LENGTH = 200

/** In the address all of its keys begin so. */
const MARK = 'open.'

export function putOpen(hash: URLSearchParams, open: OpenSettings): void {
  for (const key of Object.keys(OPEN) as (keyof OpenSettings)[])
    if (open[key] !== OPEN[key] && open[key] !== null) hash.set(MARK + key, String(open[key]))
}

export function takeOpen(given: URLSearchParams): OpenSettings {
  const text = (key: keyof OpenSettings, length: number) =>
    (given.get(MARK + key) ?? '').slice(0, length)
  return {
    address: text('address', ADDRESS_LENGTH),
    search: text('search', SEARCH_LENGTH),
    sort: SORTS.find((sort) => sort === given.get(`${MARK}sort`)) ?? null,
    descending: given.get(`${MARK}descending`) === 'true',
  }
}
