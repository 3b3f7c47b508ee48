import type { Said } from '../tour/said'
import type { StepId } from '../tour/steps'

interface Step {
  title: string
  text: (of: Said) => string
}

const steps: Record<StepId, Step> = {
  play: {
    title: 'A small change, another country',
    text: () =>
      'A small language model makes up place names, in this page. An adapter beside it turns them Finnish: the line below the names says with how many numbers, and the model itself stays as it was. Slide Strength to 0 and back.',
  },
  lora: {
    title: 'LoRA: a sum of rank-one layers',
    text: ({ r }) =>
      `LoRA stores two factors, a tall B and a flat A. Column k of B times row k of A is a layer of rank one, and the change ΔW is the sum of r = ${r} of them: rank ${r} at most. Half of the layers are there; slide Built so far for the others.`,
  },
  loha: {
    title: `LoHa: two such sums, cell by cell`,
    text: ({ r, layers }) =>
      `LoHa stores two pairs of factors and multiplies their products cell by cell. Each product is a sum of ${r} layers, every layer of one meets every layer of the other, and two rank-one layers multiplied cell by cell are again one layer of rank one. That makes ${r} × ${r} = ${layers} layers: r = ${r} reaches rank ${layers}.`,
  },
  lokr: {
    title: 'LoKr: copies of one block',
    text: ({ r, terms: [one, two] }) =>
      `LoKr stores a small w1 and a block w2, here itself tall times flat. Each number of w1 weighs one copy of the block, and the ranks multiply: ${one} × ${two} = ${one! * two!}. So the rank can be higher than r = ${r} as soon as w1 has two rows and two columns.`,
  },
  count: {
    title: 'What full rank costs',
    text: ({ side, countedR, lora, loha, lokr, lohaFull }) =>
      `One weight of ${side} × ${side}, r = ${countedR}: LoRA stores ${lora.numbers} numbers for rank ${lora.bound}, LoHa ${loha.numbers} for rank ${loha.bound}. LoKr stores ${lokr.numbers} for rank ${lokr.bound}, the full one, as the cheapest of the three. LoHa needs ${lohaFull.numbers} for that, LoRA more than the weight itself.`,
  },
  crossover: {
    title: 'The same budget: even at r = 2',
    text: ({ even }) =>
      `LoHa with r = ${even.r} costs as much as LoRA with r = ${even.loraR}, and both reach rank ${even.bound}. At r = 1 LoRA is ahead, 2 against 1; from r = 3 LoHa is, 9 against 6. Move r and watch the highest ranks.`,
  },
  budget: {
    title: 'What the numbers buy',
    text: ({ two, eight, times, gain, noise }) =>
      `Trained on Italian place names, LoRA with r = 2 (${two.numbers} numbers) reaches a loss of ${two.loss}, r = 8 (${eight.numbers}) reaches ${eight.loss}. So ${times} times the numbers buy ${gain} nats a token; two seeds of one setting differ by up to ${noise}. A higher bound alone buys nothing: compare LoHa.`,
  },
  smollm2: {
    title: 'The same on a real language model',
    text: () =>
      'SmolLM2 writes English, and three adapters learned the style of the King James Bible, one with each method. Load it, and the model alone and the three write side by side. It is a large file: it is fetched only when you press.',
  },
  open: {
    title: 'Your own file',
    text: () =>
      'Open an adapter of your own: what it holds, which method made it, its ranks and its scale. It is read in this page and not uploaded.',
  },
  measure: {
    title: 'Measure it here',
    text: () =>
      'What this page says about speed and exactness can be measured on your own device. That was the tour: leave it, and your own setting is back as it was.',
  },
}

/** The wording of the tour. `tour.ko.ts` has exactly these keys. */
export const en = {
  label: 'Guided tour',
  of: (at: number, all: number) => `${at} of ${all}`,
  back: 'Back',
  next: 'Next',
  finish: 'Finish',
  leave: 'Leave',
  keep: 'Keep this setting',
  hint: '← → or the space bar go on. Leaving (Esc) brings your own setting back.',
  steps,
}

export type TourMessages = typeof en
