import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers'

import { LokahiError } from './errors.js'

/** Text to token ids and back, as `tokenizer.json` says. */
export interface Tokenizer {
  encode(text: string): number[]
  /** Special tokens are left out. */
  decode(ids: readonly number[]): string
}

export function readTokenizer(folder: Map<string, Uint8Array>): Tokenizer | undefined {
  const bytes = folder.get('tokenizer.json')
  if (!bytes) return undefined
  const config = folder.get('tokenizer_config.json')
  const file = 'tokenizer.json'
  try {
    const tokenizer = new HubTokenizer(json(bytes), config ? json(config) : {})
    return {
      encode: (text) => tokenizer.encode(text).ids,
      decode: (ids) =>
        ids.length > 0 ? tokenizer.decode([...ids], { skip_special_tokens: true }) : '',
    }
  } catch (cause) {
    const got = (cause as Error).message
    throw new LokahiError('BadFile', `${file}: expected a tokenizer, got: ${got}`, { cause })
  }
}

function json(bytes: Uint8Array): object {
  return JSON.parse(new TextDecoder().decode(bytes))
}
