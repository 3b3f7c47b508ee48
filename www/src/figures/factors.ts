/** Which numbers of a module the three figures and formulas speak about. */

import type { Adapter } from 'lokahi'

export type Module = Adapter['modules'][number]

/** `base.model.layers.0.x.lora_A.weight` or `lokr_w2_a` -> `A`, `w2_a` */
export function factorName(tensor: string): string {
  const match = /(?:lora|hada|lokr)_([\w]+?)(?:\.[\w]+)*$/.exec(tensor)
  return match?.[1] ?? tensor
}

export function factorShape(module: Module, name: string): [number, number] | null {
  const shape = module.tensors.find((tensor) => factorName(tensor.name) === name)?.shape
  return shape && shape.length === 2 ? [shape[0]!, shape[1]!] : null
}

/** LoKr: the blocks of the Kronecker product, stored whole or as two factors. */
export function blocks(module: Module): {
  outer: [number, number]
  inner: [number, number]
  rank: number | null
} {
  const outer =
    factorShape(module, 'w1') ??
    ([factorShape(module, 'w1_a')?.[0] ?? 1, factorShape(module, 'w1_b')?.[1] ?? 1] as [
      number,
      number,
    ])
  const a = factorShape(module, 'w2_a')
  const inner: [number, number] = [module.shape[0] / outer[0], module.shape[1] / outer[1]]
  return { outer, inner, rank: a ? a[1] : null }
}

/** The bound as the product that gives it, or null where the weight's own size is the limit. */
export function boundProduct(module: Module): string | null {
  const { rank: r, rankBound } = module
  if (module.method === 'LoRA') return r === rankBound ? `r = ${r}` : null
  if (module.method === 'LoHa') return r * r === rankBound ? `r² = ${r} × ${r} = ${r * r}` : null
  const { outer, inner, rank } = blocks(module)
  const one = Math.min(...outer)
  const two = Math.min(...inner, rank ?? Infinity)
  return one * two === rankBound ? `${one} × ${two} = ${rankBound}` : null
}
