/** Everything that a visitor can set, and its form in the URL hash. */

import { LAB, putLab, takeLab, type LabSettings } from '../lab/settings'
import { MEASURE, putMeasure, takeMeasure, type MeasureSettings } from '../measure/settings'
import { OPEN, putOpen, takeOpen, type OpenSettings } from '../open/settings'
import {
  COUNTRIES,
  DEVICES,
  METHODS,
  PROJECTIONS,
  type Country,
  type Device,
  type Method,
} from './choices'
import { THEMES, type Theme } from './theme'

export interface Settings {
  country: Country | null
  method: Method
  strength: number
  temperature: number
  seed: number
  prefix: string
  merged: boolean
  device: Device
  weight: string
  /** What SmolLM2 goes on from, and whether it is a question to it. */
  prompt: string
  chat: boolean
  /** The strength of each of its adapters. */
  mix: Readonly<Record<Method, number>>
  /** Whose merging is compared. */
  compare: Method
  /** null: the browser's language */
  language: 'en' | 'ko' | null
  /** null: what this browser remembers */
  theme: Theme | null
  /** Parts and controls that a link leaves out; a control has the name of its key in the address. */
  hide: readonly string[]
  /** The one part that a frame of another page shows. */
  embed: Part | null
  /** The step of the guided tour, from 1. */
  tour: number | null
  lab: LabSettings
  open: OpenSettings
  measure: MeasureSettings
}

/** The parts of the page, as `data-part` names them. */
export const PARTS = [
  'play',
  'inside',
  'where',
  'methods',
  'products',
  'count',
  'budget',
  'smollm2',
  'open',
  'measure',
  'glossary',
] as const
export type Part = (typeof PARTS)[number]

export const STRENGTH = { min: 0, max: 1.5, step: 0.05 }
export const TEMPERATURE = { min: 0.1, max: 1.5, step: 0.05 }
export const SEED = { min: 0, max: 9999 }
export const PREFIX_LENGTH = 16
export const PROMPT_LENGTH = 300
const HIDDEN = 64
export const TOUR = { min: 1, max: 10 }

export const DEFAULTS: Settings = {
  country: null,
  method: 'lokr',
  strength: 1,
  temperature: 0.7,
  seed: 1,
  prefix: '',
  merged: false,
  device: 'auto',
  weight: 'model.layers.0.self_attn.q_proj',
  prompt: 'The sea was calm and the sailors',
  chat: false,
  mix: { lora: 1, loha: 1, lokr: 1 },
  compare: 'lora',
  language: null,
  theme: null,
  hide: [],
  embed: null,
  tour: null,
  lab: LAB,
  open: OPEN,
  measure: MEASURE,
}

const VERSION = '1'

/** Only what differs from the defaults, so that a plain link stays short. */
export function toHash(settings: Settings): string {
  const hash = new URLSearchParams({ v: VERSION })
  const put = (key: string, value: unknown, usual: unknown) => {
    if (value !== usual && value !== null) hash.set(key, String(value))
  }
  put('country', settings.country, null)
  put('method', settings.method, DEFAULTS.method)
  put('strength', settings.strength, DEFAULTS.strength)
  put('temperature', settings.temperature, DEFAULTS.temperature)
  put('seed', settings.seed, DEFAULTS.seed)
  put('start', settings.prefix, DEFAULTS.prefix)
  put('merged', settings.merged, false)
  put('device', settings.device, DEFAULTS.device)
  put('weight', settings.weight, DEFAULTS.weight)
  put('prompt', settings.prompt, DEFAULTS.prompt)
  put('chat', settings.chat, false)
  for (const method of METHODS) put(method, settings.mix[method], DEFAULTS.mix[method])
  put('compare', settings.compare, DEFAULTS.compare)
  put('lang', settings.language, null)
  put('theme', settings.theme, null)
  put('hide', settings.hide.join(), '')
  put('embed', settings.embed, null)
  put('tour', settings.tour, null)
  putLab(hash, settings.lab)
  putOpen(hash, settings.open)
  putMeasure(hash, settings.measure)
  return '#' + String(hash).replaceAll('%2C', ',')
}

/** An unknown version, key or value counts as absent: a link never breaks the page. */
export function fromHash(hash: string): Settings {
  const given = new URLSearchParams(hash.replace(/^#/, ''))
  if (given.get('v') !== VERSION) {
    return { ...DEFAULTS, lab: { ...LAB }, open: { ...OPEN }, measure: { ...MEASURE } }
  }
  const oneOf = <T extends string>(key: string, allowed: readonly T[], usual: T): T =>
    allowed.find((value) => value === given.get(key)) ?? usual
  const between = (
    key: string,
    { min, max }: { min: number; max: number },
    usual: number,
  ): number => {
    const value = Number(given.get(key) ?? Number.NaN)
    return Number.isFinite(value) ? Math.min(max, Math.max(min, value)) : usual
  }
  const weight = given.get('weight') ?? ''
  const isWeight = PROJECTIONS.some((projection) =>
    /^model\.layers\.\d$/.test(weight.replace(`.${projection}`, '')),
  )
  return {
    country: COUNTRIES.find((country) => country === given.get('country')) ?? null,
    method: oneOf('method', METHODS, DEFAULTS.method),
    strength: between('strength', STRENGTH, DEFAULTS.strength),
    temperature: between('temperature', TEMPERATURE, DEFAULTS.temperature),
    seed: Math.round(between('seed', SEED, DEFAULTS.seed)),
    prefix: (given.get('start') ?? '').slice(0, PREFIX_LENGTH),
    merged: given.get('merged') === 'true',
    device: oneOf('device', DEVICES, DEFAULTS.device),
    weight: isWeight ? weight : DEFAULTS.weight,
    prompt: (given.get('prompt') ?? DEFAULTS.prompt).slice(0, PROMPT_LENGTH),
    chat: given.get('chat') === 'true',
    mix: {
      lora: between('lora', STRENGTH, DEFAULTS.mix.lora),
      loha: between('loha', STRENGTH, DEFAULTS.mix.loha),
      lokr: between('lokr', STRENGTH, DEFAULTS.mix.lokr),
    },
    compare: oneOf('compare', METHODS, DEFAULTS.compare),
    language: (['en', 'ko'] as const).find((language) => language === given.get('lang')) ?? null,
    theme: THEMES.find((theme) => theme === given.get('theme')) ?? null,
    hide: (given.get('hide') ?? '')
      .split(',')
      .filter((name) => /^[\w.]+$/.test(name))
      .slice(0, HIDDEN),
    embed: PARTS.find((part) => part === given.get('embed')) ?? null,
    tour: given.has('tour') ? Math.round(between('tour', TOUR, TOUR.min)) : null,
    lab: takeLab(given),
    open: takeOpen(given),
    measure: takeMeasure(given),
  }
}
