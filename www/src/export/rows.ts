/** The numbers of the panels, one row for each thing that is counted or measured. */

import type { Setting } from '../lab/budget/sweep'
import { materialise, type Change } from '../lab/maths/change'
import type { Shape, shares } from '../lab/maths/count'
import { METHODS } from '../state/choices'
import type { Form } from 'lokahi'
import type { Measured, Times } from '../measure/timer.svelte'
import type { Measurement } from '../state/measure'
import type { Name } from '../state/player.svelte'
import { COLUMNS } from '../state/smollm2'
import type { Writer } from '../state/writer.svelte'
import type { Row } from './tables'

export const ofNames = (names: readonly Name[], adapted: boolean): Row[] =>
  names
    .filter(({ text }) => text)
    .map(({ text, plain }) => ({ name: text, 'without the adapter': adapted ? plain : null }))

export const ofSpectra = (measurements: readonly Measurement[]): Row[] =>
  measurements.flatMap(({ method, module, spectrum }) =>
    spectrum.singularValues
      .slice(0, module.rankBound)
      .map((value, i) => ({ weight: module.name, method, index: i + 1, 'singular value': value })),
  )

export const ofMethods = (measurements: readonly Measurement[]): Row[] =>
  measurements.map(({ method, adapter, module, spectrum }) => ({
    weight: module.name,
    method,
    shape: module.shape.join(' x '),
    tensors: module.tensors.map(({ shape }) => shape.join(' x ')).join(' + '),
    numbers: module.parameters,
    'numbers of all weights': adapter.parameters,
    'rank bound': module.rankBound,
    'numerical rank': spectrum.numericalRank,
    'stable rank': spectrum.stableRank,
    'entropy rank': spectrum.entropyRank,
  }))

export const ofChanges = (changes: readonly Change[]): Row[] =>
  changes.flatMap((change) =>
    [...Object.entries(change.factors), ['dW', materialise(change)] as const].flatMap(
      ([matrix, { cols, data }]) =>
        Array.from(data, (value, i) => ({
          method: change.method,
          matrix,
          row: Math.floor(i / cols) + 1,
          column: (i % cols) + 1,
          value,
        })),
    ),
  )

export const ofCounts = ([out, in_]: Shape, share: ReturnType<typeof shares>): Row[] =>
  METHODS.map((method) => {
    const { r, factor, count } = share[method]
    return {
      method,
      out,
      in: in_,
      r,
      factor: method === 'lokr' ? factor : null,
      tensors: count.stored.map(({ name, shape }) => `${name} ${shape.join(' x ')}`).join(' + '),
      numbers: count.numbers,
      'rank bound': count.bound,
    }
  })

export const ofSweep = (country: string, all: readonly Setting[]): Row[] =>
  all.map(({ method, r, factor, numbers, bound, losses, mean }) => ({
    country,
    method,
    r,
    factor,
    numbers,
    'rank bound of 128 x 128': bound,
    ...Object.fromEntries(losses.map((loss, seed) => [`loss, seed ${seed}`, loss])),
    'mean loss': mean,
  }))

export const ofMeasured = (measured: Measured | null): Row[] =>
  (measured?.backends ?? []).flatMap(({ backend, device, base, methods }) => {
    const { wanted } = measured!
    const row = (method: string | null, form: Form, times: Times, more: Row = {}): Row => ({
      backend,
      device,
      ...wanted,
      method,
      form,
      'median ms': times.median,
      'fastest ms': times.min,
      'slowest ms': times.max,
      ...more,
    })
    return [
      row(null, 'base', base),
      ...METHODS.flatMap((method) => {
        const { plan, off, ...times } = methods[method]
        return (['structured', 'merged'] as const).map((form) =>
          row(method, form, times[form], {
            'estimated ms': plan.times[form],
            'chosen by the plan': plan.choice === form,
            'largest difference from f64': off,
          }),
        )
      }),
    ]
  })

export const ofTexts = ({ written, texts, parameters }: Writer): Row[] =>
  written
    ? COLUMNS.map((column, i) => ({
        adapter: column,
        strength: column === 'none' ? null : written.mix[column],
        numbers: parameters[column] ?? null,
        prompt: written.prompt,
        question: written.chat,
        text: texts[i]!.text,
        tokens: texts[i]!.tokens,
        'tokens a second': texts[i]!.rate,
      }))
    : []
