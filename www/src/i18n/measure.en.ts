/** The wording of "Measure". `measure.ko.ts` has exactly these keys. */
export const en = {
  title: 'Measure',
  lead: 'One weight with an adapter, on your own device: the adapter beside the weight (structured), which can be switched at any time, or merged into a copy of the weight.',
  shape: 'Weight (outputs × inputs)',
  dtype: 'Stored as',
  rows: 'Tokens at once',
  rowsHint: { 1: '1 (writing)', 16: '16', 128: '128 (a long prompt)' },
  rank: 'r',
  factor: 'LoKr’s factor',
  squarest: '−1 (squarest)',
  start: 'Measure',
  again: 'Measure again',
  stop: 'Stop',
  working: 'Measuring, in a worker',
  stopped: 'Stopped.',
  hint: 'Nothing is measured until you press. It takes a few seconds; with a large weight and no real GPU up to a minute.',
  old: 'Measured with other settings than those above.',
  caption: (shape: string, dtype: string, rows: number, rank: number) =>
    `${shape}, ${dtype}, ${rows === 1 ? '1 token' : `${rows} tokens`} at once, r = ${rank}`,
  backends: { cpu: 'CPU, one thread', webgpu: (name: string) => `WebGPU: ${name}` },
  without: 'WebGPU was not measured.',
  base: 'the weight alone',
  structured: (method: string) => `${method} beside it`,
  merged: (method: string) => `${method} merged`,
  more: (percent: string) => `${percent} %`,
  chosen: 'the plan’s choice',
  long: (backend: string) =>
    `Bar chart of the times on ${backend}. The same numbers are in the table below it.`,
  bars: 'Bars are medians of 7, lines go from the fastest to the slowest; each device has a scale of its own. Beside each: how much longer than the weight alone.',
  plan: 'The plan',
  planLead:
    'Before it runs, the package estimates each form from a few products that it timed once on this device. Merging takes memory and has to be undone for a switch: it is chosen only where it saves more than 8 %.',
  saves: (percent: string, megabytes: string) =>
    `Merging saves ${percent} % of the time, for ${megabytes} MB.`,
  little: (percent: string, megabytes: string) =>
    `Merging would save ${percent} % only, for ${megabytes} MB.`,
  slower: (megabytes: string) => `Merged would be slower: it reads ${megabytes} MB of F32.`,
  columns: {
    method: 'method',
    choice: 'choice',
    estimated: 'estimated',
    measured: 'measured',
    best: 'best',
    loss: 'slower by',
  },
  forms: { base: 'alone', structured: 'structured', merged: 'merged' },
  timeColumns: { form: 'form', median: 'median', range: 'fastest to slowest' },
  test: 'Self-test',
  testLead:
    'The same product was worked out in 64-bit numbers. The largest difference, as a share of the largest result:',
  testBetween: 'between the two',
  quantised:
    'Where the weight is in blocks, the CPU rounds its inputs to 16 bits: hence a difference near 10⁻⁵.',
  done: (fastest: string) => `Measured. ${fastest}`,
  doneBackend: (backend: string, base: string, parts: string) =>
    `${backend}: the weight alone ${base}; ${parts}.`,
}

export type MeasureMessages = typeof en
