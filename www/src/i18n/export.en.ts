/** The wording of sharing and exporting. `export.ko.ts` has exactly these keys. */
export const en = {
  copy: 'Copy',
  copied: 'Copied',
  selected: 'Selected: copy it with the keyboard.',
  numbers: 'Numbers',
  figure: 'Figure',
  saved: (file: string) => `${file} is saved.`,
  nothing: 'There is nothing to save yet.',
  javascript: 'JavaScript, npm install lokahi',
  python: 'Python, PEFT',
  forClass: 'A link for a class',
  hideParts: 'Leave out these parts',
  hideControls: 'and these controls',
  hideHint:
    'They are left out by hide= in the address. Every control has a name there, those of the lab too: hide=count,seed,lab.dice. The setting stays in the link, so all see the same numbers.',
  link: 'Link',
  embed: 'A part in your own page',
  embedPart: 'Part',
  embedHint:
    'The part alone, with the present setting. It computes in the reader’s browser; nothing is sent.',
  frame: 'Frame',
  parts: {
    play: 'Names',
    inside: 'Inside the adapter',
    where: 'Where it runs',
    methods: 'What each method stores',
    products: 'See the products',
    count: 'Count and rank',
    budget: 'What a budget buys',
    smollm2: 'A real language model',
    open: 'Open your file',
    measure: 'Measure',
    glossary: 'Words',
  },
  controls: {
    country: 'Country',
    method: 'Method',
    strength: 'Strength',
    temperature: 'Temperature',
    seed: 'Seed',
    start: 'Start of the name',
    weight: 'Weight',
    device: 'Device',
    merged: 'Merge',
  },
}

export type ExportMessages = typeof en
