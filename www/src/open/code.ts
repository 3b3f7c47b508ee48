/** The lines that do what was set here: with the package, and with the command. */

import type { Conventions } from 'lokahi'
import { ruleOf, type Plan } from './maker.svelte'
import type { Chosen } from './sources'
import { quoted, word } from './text'

const CONVENTIONS = [
  ['alpha', '--alpha'],
  ['wholeLokrRank', '--whole-lokr-rank'],
  ['doraAxis', '--dora-axis'],
] as const

/** `{ a: 1, b }`, or nothing where nothing is set. */
function object(entries: readonly (readonly [string, string | number | undefined])[]): string {
  const set = entries.filter(([, value]) => value !== undefined)
  return set.length
    ? `{ ${set.map(([key, value]) => (value === '' ? key : `${key}: ${value}`)).join(', ')} }`
    : ''
}

const list = (...args: string[]) => args.filter(Boolean).join(', ')

const BASE = './base/'

export function npmLines({ path }: Chosen, conventions: Conventions, plan: Plan): string {
  const { alpha, wholeLokrRank, doraAxis } = conventions
  const read = object([
    ['alpha', alpha],
    ['wholeLokrRank', wholeLokrRank],
    ['doraAxis', doraAxis && quoted(doraAxis)],
  ])
  const source = quoted(path)
  const { what, format, dtype, base } = plan
  const common = [
    ['dtype', dtype === 'F32' ? undefined : quoted(dtype)],
    ['base', base ? '' : undefined],
  ] as const
  const rule = Object.entries(ruleOf(plan))
  const call =
    what === 'convert'
      ? `save(${list(quoted(format), object(common))})`
      : `resize(${object([...rule, ['format', quoted(format)], ...common])})`
  return [
    `import { ${base ? 'Adapter, Base, init' : 'Adapter, init'} } from 'lokahi'`,
    '',
    `await init({ device: 'cpu' })`,
    ...(base ? [`const base = await Base.load(${quoted(BASE)})`] : []),
    `const adapter = await Adapter.load(${list(source, read && `{ conventions: ${read} }`)})`,
    `console.log(adapter.inspect())`,
    `const { files } = await adapter.${call}`,
  ].join('\n')
}

export function commandLines(
  { path, remote }: Chosen,
  conventions: Conventions,
  plan: Plan,
): string {
  const file = remote ? 'ADAPTER' : word(path)
  const read = CONVENTIONS.flatMap(([key, option]) =>
    conventions[key] === undefined ? [] : [option, String(conventions[key])],
  )
  const { what, format, dtype, base } = plan
  const how = [
    ...(what === 'resize' ? Object.entries(ruleOf(plan)).flatMap(([k, v]) => [`--${k}`, v]) : []),
    '--to',
    format,
    ...(dtype === 'F32' ? [] : ['--dtype', dtype]),
    ...(base ? ['--base', BASE.replace(/\/$/, '')] : []),
    ...read,
    '-o',
    'OUT',
  ]
  return [
    ['npx lokahi inspect', file, '--measure', ...read].join(' '),
    [`npx lokahi ${what}`, file, ...how].join(' '),
  ].join('\n')
}
