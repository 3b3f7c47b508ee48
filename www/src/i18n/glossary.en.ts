import type { Term } from '../glossary/terms'

export interface GlossaryMessages {
  title: string
  /** `english` is the standard word, for those who read the literature. */
  terms: Record<Term, { name: string; english?: string; text: string }>
}

export const en: GlossaryMessages = {
  title: 'Words',
  terms: {
    adapter: {
      name: 'adapter',
      text: 'A small file of numbers that changes what a model does, without a change of the model’s own numbers: one change ΔW for each weight that it adapts.',
    },
    base: {
      name: 'base',
      text: 'The model without adapters. Its weights are frozen: training does not move them.',
    },
    delta: {
      name: 'change, ΔW',
      english: 'delta',
      text: 'What is added to one weight W, of the same shape. It is made from the factors, times the scale, and need never be stored.',
    },
    factors: {
      name: 'factors',
      text: 'The small matrices that the file stores for one weight. Each method makes ΔW from them by its own product.',
    },
    scale: {
      name: 'scale',
      text: 'The one number that multiplies the product of the factors: usually alpha / r.',
    },
    alpha: {
      name: 'alpha',
      text: 'A setting of training. Divided by r it gives the scale, so that r can be changed without a new learning rate.',
    },
    strength: {
      name: 'strength',
      text: 'Your own slider on top of the scale: 0 is the base, 1 is as trained.',
    },
    merged: {
      name: 'merged',
      text: 'ΔW was added into a copy of the weight, so using it costs nothing more. Unmerged, it is computed beside the weight and can be swapped at once.',
    },
    rank: {
      name: 'rank',
      text: 'In how many independent directions a matrix acts: the number of its singular values that are not 0. A rank-one matrix is a column times a row.',
    },
    bound: {
      name: 'rank bound',
      text: 'The highest rank that the shapes of the factors allow, whatever numbers are in them.',
    },
    numerical: {
      name: 'numerical rank',
      text: 'How many singular values are above a threshold, given as a share of the largest. It counts what is more than rounding.',
    },
    stable: {
      name: 'stable rank',
      text: '‖ΔW‖² / σ₁²: the sum of the squares of all singular values over the square of the largest. It needs no threshold and hardly moves when small ones are added.',
    },
    entropy: {
      name: 'entropy rank',
      text: 'e to the entropy of the shares σ² / Σσ²: over how many directions the change is spread.',
    },
    singular: {
      name: 'singular values σ',
      text: 'How strongly a matrix acts in each of its directions, largest first.',
    },
    hadamard: {
      name: 'Hadamard product ⊙',
      text: 'Two matrices of one shape multiplied cell by cell. Its rank is at most the product of their ranks. LoHa uses it.',
    },
    kronecker: {
      name: 'Kronecker product ⊗',
      text: 'One matrix laid out as many times as the other has numbers, each copy times that number. Ranks multiply. LoKr uses it.',
    },
    code: {
      name: 'code z',
      text: 'The few numbers that an adapter makes of its input on the way down, before it goes up to the output.',
    },
    loss: {
      name: 'loss',
      text: 'How surprised the model is by names that it has not seen, in nats a token: −ln of the probability that it gave to the right one. Lower is better.',
    },
    seed: {
      name: 'seed',
      text: 'Where the dice begin. The same seed gives the same numbers; two seeds show how much is chance.',
    },
  },
}
