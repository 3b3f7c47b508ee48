/** Shapes of known models, `[out, in]`, and what they cost to train. */

import type { Shape } from './count'

/** which weights take an adapter */
export const TARGETS = ['qv', 'attention', 'all'] as const
export type Target = (typeof TARGETS)[number]

type Kind = 'q' | 'k' | 'v' | 'o' | 'mlp'
export interface Group {
  name: string
  kind: Kind
  shape: Shape
  times: number
}

export interface ModelShape {
  id: string
  name: string
  /** every number of the model (of the denoiser, for the picture models) */
  total: number
  groups: Group[]
  /** what bottleneck adapters and prefixes need; null where neither is used */
  blocks: { count: number; hidden: number; kv: number; context: number } | null
}

/** A decoder of the Llama kind. */
function llama(
  id: string,
  name: string,
  total: number,
  layers: number,
  hidden: number,
  kv: number,
  middle: number,
  context: number,
): ModelShape {
  const group = (name: string, kind: Kind, shape: Shape): Group => ({
    name,
    kind,
    shape,
    times: layers,
  })
  return {
    id,
    name,
    total,
    groups: [
      group('q', 'q', [hidden, hidden]),
      group('k', 'k', [kv, hidden]),
      group('v', 'v', [kv, hidden]),
      group('o', 'o', [hidden, hidden]),
      group('gate', 'mlp', [middle, hidden]),
      group('up', 'mlp', [middle, hidden]),
      group('down', 'mlp', [hidden, middle]),
    ],
    blocks: { count: layers, hidden, kv, context },
  }
}

/** Transformer blocks of a U-Net: self and cross attention, and a gated feed-forward layer. */
function unet(
  id: string,
  name: string,
  total: number,
  text: number,
  levels: readonly (readonly [width: number, blocks: number])[],
): ModelShape {
  return {
    id,
    name,
    total,
    groups: levels.flatMap(([width, blocks]) => [
      { name: `q ${width}`, kind: 'q' as const, shape: [width, width] as Shape, times: 2 * blocks },
      { name: `k ${width}`, kind: 'k' as const, shape: [width, width] as Shape, times: blocks },
      { name: `k ${width} text`, kind: 'k' as const, shape: [width, text] as Shape, times: blocks },
      { name: `v ${width}`, kind: 'v' as const, shape: [width, width] as Shape, times: blocks },
      { name: `v ${width} text`, kind: 'v' as const, shape: [width, text] as Shape, times: blocks },
      { name: `o ${width}`, kind: 'o' as const, shape: [width, width] as Shape, times: 2 * blocks },
      {
        name: `ff up ${width}`,
        kind: 'mlp' as const,
        shape: [8 * width, width] as Shape,
        times: blocks,
      },
      {
        name: `ff down ${width}`,
        kind: 'mlp' as const,
        shape: [width, 4 * width] as Shape,
        times: blocks,
      },
    ]),
    blocks: null,
  }
}

const GPT3 = 12_288
const FLUX = 3072

export const MODELS: readonly ModelShape[] = [
  llama('smollm2', 'SmolLM2-135M', 134_515_008, 30, 576, 192, 1536, 8192),
  llama('qwen', 'Qwen2.5-0.5B', 494_032_768, 24, 896, 128, 4864, 32_768),
  llama('llama3b', 'Llama-3.2-3B', 3_212_749_824, 28, 3072, 1024, 8192, 131_072),
  llama('llama7b', 'Llama-2-7B', 6_738_415_616, 32, 4096, 4096, 11_008, 4096),
  {
    id: 'gpt3',
    name: 'GPT-3 175B',
    total: 175e9,
    groups: [
      ...(['q', 'k', 'v', 'o'] as const).map((kind) => ({
        name: kind,
        kind,
        shape: [GPT3, GPT3] as Shape,
        times: 96,
      })),
      { name: 'ff up', kind: 'mlp', shape: [4 * GPT3, GPT3], times: 96 },
      { name: 'ff down', kind: 'mlp', shape: [GPT3, 4 * GPT3], times: 96 },
    ],
    blocks: { count: 96, hidden: GPT3, kv: GPT3, context: 2048 },
  },
  unet('sd15', 'Stable Diffusion 1.5', 859_520_964, 768, [
    [320, 5],
    [640, 5],
    [1280, 6],
  ]),
  unet('sdxl', 'SDXL', 2_567_463_684, 2048, [
    [640, 10],
    [1280, 60],
  ]),
  {
    id: 'flux',
    name: 'FLUX-like, 12B',
    total: 11_901_408_320,
    groups: [
      // 19 blocks with separate weights for picture and text, 38 with shared and fused ones
      ...(['q', 'k', 'v', 'o'] as const).map((kind) => ({
        name: `double ${kind}`,
        kind,
        shape: [FLUX, FLUX] as Shape,
        times: 38,
      })),
      { name: 'double ff up', kind: 'mlp', shape: [4 * FLUX, FLUX], times: 38 },
      { name: 'double ff down', kind: 'mlp', shape: [FLUX, 4 * FLUX], times: 38 },
      { name: 'single in', kind: 'mlp', shape: [7 * FLUX, FLUX], times: 38 },
      { name: 'single out', kind: 'mlp', shape: [FLUX, 5 * FLUX], times: 38 },
    ],
    blocks: null,
  },
  { id: 'sixty', name: '60B', total: 60e9, groups: [], blocks: null },
]

export function targeted(model: ModelShape, target: Target): Group[] {
  return model.groups.filter(({ kind }) =>
    target === 'all'
      ? true
      : target === 'attention'
        ? kind !== 'mlp'
        : kind === 'q' || kind === 'v',
  )
}

/** Two bottlenecks a block (after attention, after the feed-forward layer), biases included. */
export const bottleneckNumbers = (
  { count, hidden }: NonNullable<ModelShape['blocks']>,
  width: number,
): number => count * 2 * (2 * hidden * width + width + hidden)

/** A key and a value for each trained position in each block. */
export const prefixNumbers = (
  { count, kv }: NonNullable<ModelShape['blocks']>,
  length: number,
): number => count * 2 * kv * length

export interface Memory {
  weights: number
  gradients: number
  optimiser: number
  total: number
}

/**
 * Bytes for weights, gradients and the optimiser's states; activations come on top. What is trained
 * is held in 4 bytes a number, what is frozen in `bytes`.
 */
export function memory(frozen: number, trained: number, bytes: number, states: number): Memory {
  const weights = frozen * bytes + trained * 4
  const gradients = trained * 4
  const optimiser = trained * 4 * states
  return { weights, gradients, optimiser, total: weights + gradients + optimiser }
}
