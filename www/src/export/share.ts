/** Links and frames that carry the current setting. */

import { toHash, type Part, type Settings } from '../state/settings'

/** A control has the name of its key in the address. */
export const CONTROLS = [
  'country',
  'method',
  'strength',
  'temperature',
  'seed',
  'start',
  'weight',
  'device',
  'merged',
] as const

/** About as tall as each part is in a column of a text, in CSS pixels. */
const HEIGHTS: Record<Part, number> = {
  play: 900,
  inside: 760,
  where: 320,
  methods: 1000,
  products: 1800,
  count: 3000,
  budget: 1500,
  smollm2: 900,
  open: 900,
  measure: 900,
  glossary: 1400,
}

/** The page's own address, without its setting. */
const page = () => location.href.replace(/#.*/, '')

export const linkTo = (settings: Settings, hide: readonly string[]): string =>
  page() + toHash({ ...settings, hide, embed: null, tour: null })

export function frameOf(settings: Settings, part: Part, title: string): string {
  const hide = settings.hide.filter((name) => name !== part)
  const source = page() + toHash({ ...settings, hide, embed: part, tour: null })
  const text = (words: string) => words.replaceAll('&', '&amp;').replaceAll('"', '&quot;')
  return `<iframe src="${text(source)}" title="${text(title)}" width="100%" height="${HEIGHTS[part]}" loading="lazy" style="border: 0"></iframe>`
}
