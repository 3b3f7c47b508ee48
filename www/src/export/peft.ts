/** Configurations in PEFT's words, as lines of Python. */

import type { Method } from '../state/choices'

export interface Config {
  method: Method
  r: number
  alpha: number
  /** LoKr alone */
  factor?: number
  both?: boolean
}

const CLASSES = { lora: 'LoraConfig', loha: 'LoHaConfig', lokr: 'LoKrConfig' } as const

const python = (value: string | number | boolean): string =>
  typeof value === 'boolean' ? (value ? 'True' : 'False') : JSON.stringify(value)

export function configLine({ method, r, alpha, factor = -1, both = false }: Config): string {
  const of: [string, string | number | boolean][] = [
    ['r', r],
    [method === 'lora' ? 'lora_alpha' : 'alpha', alpha],
  ]
  if (method === 'lokr') of.push(['decompose_factor', factor], ['decompose_both', both])
  const words = of.map(([name, value]) => `${name}=${python(value)}`)
  return `${CLASSES[method]}(${words.join(', ')}, target_modules=targets)`
}

/** Puts each of the configurations on a model and says how many numbers it trains. */
export function inPeft(
  configs: readonly Config[],
  { imports, base, targets }: { imports: string; base: string; targets: readonly string[] },
): string {
  const classes = [...new Set(configs.map(({ method }) => CLASSES[method]))].sort()
  return [
    imports,
    `from peft import ${[...classes, 'get_peft_model'].join(', ')}`,
    '',
    `targets = ${JSON.stringify(targets)}`,
    'for config in [',
    ...configs.map((config) => `    ${configLine(config)},`),
    ']:',
    `    model = get_peft_model(${base}, config)`,
    '    model.print_trainable_parameters()',
    '',
  ].join('\n')
}
