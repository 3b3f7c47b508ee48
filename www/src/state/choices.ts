/** What can be chosen, in the order in which it is shown. */

export const COUNTRIES = ['fi', 'jp', 'it', 'pl', 'kr', 'tr'] as const
export type Country = (typeof COUNTRIES)[number]

export const METHODS = ['lora', 'loha', 'lokr'] as const
export type Method = (typeof METHODS)[number]

export const DEVICES = ['auto', 'webgpu', 'cpu'] as const
export type Device = (typeof DEVICES)[number]

export const PROJECTIONS = [
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.o_proj',
  'mlp.gate_proj',
  'mlp.up_proj',
  'mlp.down_proj',
] as const

/** `model.layers.2.mlp.up_proj` -> layer 2, `up`. */
export function weightParts(name: string): { layer: number; projection: string } {
  const match = /layers\.(\d+)\.(?:\w+)\.(\w+)_proj$/.exec(name)
  return { layer: Number(match?.[1] ?? 0), projection: match?.[2] ?? name }
}

export const METHOD_NAMES: Record<Method, 'LoRA' | 'LoHa' | 'LoKr'> = {
  lora: 'LoRA',
  loha: 'LoHa',
  lokr: 'LoKr',
}
