import type { Country } from '../state/choices'

const countries: Record<Country, string> = {
  fi: 'Finland',
  jp: 'Japan',
  it: 'Italy',
  pl: 'Poland',
  kr: 'Korea',
  tr: 'Turkey',
}

/** The wording of the page. The other languages have exactly these keys: see `ko.ts`. */
export const en = {
  title: 'Lokahi: LoRA, LoHa and LoKr in the browser',
  tagline: 'low-rank adapters in the browser',
  language: 'Language',
  theme: 'Colours',
  themes: { auto: 'Auto', light: 'Light', dark: 'Dark' },
  tour: 'Guided tour',
  skip: 'Skip to the names',
  heading: 'A few numbers more, another country',
  lead: (parameters: string) =>
    `This language model has ${parameters} numbers and knows one thing: what towns in English-speaking countries are called. It is running now, in this page. Pick a country and an adapter changes what it says; the model itself stays as it was.`,

  country: 'Country',
  noCountry: 'None (English)',
  countries,
  method: 'Method',
  strength: 'Strength',
  strengthMarks: { none: 'none', trained: 'as trained', beyond: 'beyond' },
  resetHint: 'Double click: back to the usual value',
  temperature: 'Temperature',
  temperatureHint: 'low: the likeliest letters; high: bolder',
  seed: 'Seed',
  seedHint: 'same seed, same dice',
  anotherSeed: 'Another',
  prefix: 'Start of the name',
  prefixHint: 'optional',
  unknown: (letters: string) => `The model has no letter ${letters}; left out.`,

  names: 'Names that the model makes up',
  without: 'without the adapter',
  noName: 'no name',
  credit: 'Place names:',
  creditLicence: 'CC BY 4.0',
  invented: 'Names are made up letter by letter; a real one is a coincidence.',
  cost: (adapter: string, model: string) => ({
    strong: `${adapter} numbers did that`,
    rest: `; the model has ${model}.`,
  }),
  costZero: (adapter: string, model: string) => ({
    strong: `${adapter} numbers, times 0`,
    rest: `, change nothing; the model has ${model}.`,
  }),
  costLoading: (model: string) => ({ strong: `${model} numbers`, rest: ' in the model.' }),
  costNone: (model: string) => ({
    strong: `${model} numbers`,
    rest: ', and no adapter. Pick a country.',
  }),
  costBar: (percent: string) => `The adapter is ${percent} % of the size of the model.`,
  announce: (country: string, how: string, examples: string) =>
    `New names, ${country}${how}: ${examples}, and so on.`,
  announceHow: (method: string, strength: string) => `, ${method}, strength ${strength}`,

  inside: 'Inside the adapter',
  weight: 'Weight',
  weightHint: 'The 28 weights that the adapter changes, drawn to scale: height out, width in.',
  layer: (n: number) => `layer ${n}`,
  weightLabel: (layer: number, projection: string, shape: string) =>
    `Layer ${layer}, ${projection}, ${shape}`,
  by: 'by',
  bound: 'bound',
  boundHint: 'what the factors allow',
  numerical: 'numerical',
  numericalHint: (threshold: string) => `σ above ${threshold} σ₁`,
  stable: 'stable',
  stableHint: '‖ΔW‖² / σ₁²',
  entropy: 'entropy',
  entropyHint: 'e to the entropy of σ²',
  rankOf: (weight: string, country: string) => `Rank: ${weight}, ${country}`,
  notApplied: 'not applied',
  spectrum: 'Singular values σ of the change, largest first',
  spectrumIndex: 'number of the singular value',
  spectrumBound: (n: number) => `bound ${n}`,
  spectrumLong: (method: string, bound: number, first: string, last: string) =>
    `Log-scale chart of singular values. ${method}: bound ${bound}, from ${first} down to ${last}. The numbers are in the table below it.`,
  spectrumOfMany: (most: number) => `A full-rank change of this weight would have ${most}.`,
  spectrumZero: 'Strength 0: every σ is 0.',
  asTable: 'The same as a table',
  tableIndex: 'No.',

  where: 'Where it runs',
  device: 'Device',
  devices: { auto: 'Auto', webgpu: 'WebGPU', cpu: 'CPU' },
  perName: 'a name',
  perNameUnit: 'ms',
  merged: 'Merge the change into the weights',
  mergedHint: {
    on: 'Merged: the change is added into a second copy of the weights.',
    off: 'Unmerged: the change is computed beside the weights.',
    none: 'There is nothing to merge without an adapter.',
  },
  starting: 'starting',

  stores: 'What each method stores',
  storesLead: (weight: string, shape: string) =>
    `For one weight W, here ${weight}, ${shape}. Filled: numbers in the file. Outlined: computed from them, never stored. Drawn to scale.`,
  storesText: {
    lora: 'A tall matrix times a flat one.',
    loha: 'Two such products, multiplied entry by entry.',
    lokr: 'A small matrix whose every entry scales a copy of one block; the block is itself tall times flat.',
  },
  storesSum: 'numbers for this weight',
  storesAll: (weights: number) => `numbers for all ${weights} weights`,
  storesBound: 'highest rank',
  storesRank: 'stable rank, measured',
  formula: 'Formula',
  figureOf: (method: string) => `${method}: the stored factors, to scale`,

  real: 'A real language model',
  realLead: (parameters: string) =>
    ` has ${parameters} numbers, about six bits each, and writes English. Three adapters learned the style of the King James Bible, one with each method. The model alone and the three write side by side.`,
  realLoad: (megabytes: string) => `Load the model, ${megabytes} MB`,
  realFromHub:
    'It comes from huggingface.co, only when you press, and this browser keeps it for the next time.',
  realFromHere:
    'It comes from models/ of this server or, where it is not there, from huggingface.co, and only when you press.',
  ownFile: 'Use a GGUF file of your own',
  ownFileHint:
    'A file of your own is read in this page and not uploaded; the adapters fit SmolLM2-135M.',
  realLoading: 'Loading the language model',
  adapterLoading: (method: string) => `Loading the ${method} adapter`,
  loadingMegabytes: (loaded: string, total: string) => `${loaded} of ${total} MB`,
  cancel: 'Cancel',
  prompt: 'Beginning of the text',
  prompts: 'Given beginnings',
  chat: 'A question for the model to answer',
  chatMark: '(a question)',
  write: 'Write',
  writeAgain: 'Write again',
  stop: 'Stop',
  writing: 'Writing four texts.',
  writingEnd: { written: 'The four texts are written.', stopped: 'Stopped.' },
  modelAlone: 'Model alone',
  noAdapter: 'no adapter',
  numbers: (parameters: string) => `${parameters} numbers`,
  numbersMore: (parameters: string, percent: string) => `+ ${parameters} numbers, ${percent} %`,
  perSecond: 'tokens a second',
  textsHint:
    'All four take the likeliest token each time. At strength 0 a text is that of the model alone.',
  textsStale: 'Dimmed texts were written with other settings: write again.',
  allTexts: 'Speed, four texts in one batch',
  swap: (times: number) => `Swapping adapters, median of ${times}`,
  memory: 'Memory, model and adapters',
  mergeReal: 'Merged against unmerged',
  mergeCompare: 'Merge and compare',
  mergeRunning: 'Merging and comparing',
  mergeRealHint:
    'Adds the change into a copy of the weights, computes the prompt again, compares, and takes the copy away.',
  mergeResult: (of: {
    method: string
    strength: string
    logits: string
    difference: string
    largest: string
    merge: string
    unmerge: string
    megabytes: string
  }) =>
    `${of.method}, strength ${of.strength}: the ${of.logits} logits of the prompt differ by ${of.difference} at most; the largest is ${of.largest}. Merging took ${of.merge} ms and ${of.megabytes} MB more, going back ${of.unmerge} ms.`,
  unload: 'Unload the model',

  copy: 'Copy a link to this setting',
  copied: 'Link copied',
  copyFailed: 'The address bar has the link.',
  reset: 'Start over',
  backToLink: 'Back to the link',
  take: 'Numbers, figure, code',
  share: 'For a class, or in your own page',
  whole: 'Lokahi: open the whole page',

  loading: 'Loading the model',
  loadingBytes: (loaded: string, total: string) => `${loaded} of ${total} kB`,
  failure: {
    model: 'The model could not be started.',
    adapter: 'The adapter could not be used.',
    names: 'The model stopped while making a name.',
    writing: 'The model stopped while writing.',
    merging: 'The adapter could not be merged.',
    measuring: 'The times could not be measured.',
  },
  code: 'Code',
  retry: 'Try again',
  useCpu: 'Use the CPU',
  references: 'References, in English:',
  referenceApi: 'the package (JavaScript)',
  referenceRust: 'the crate (Rust)',
  privacy: 'Everything is computed in this page. Nothing that you type or choose leaves it.',
}

export type Messages = typeof en
