/** The wording of the lab. `lab.ko.ts` has exactly these keys. */
export const en = {
  count: {
    title: 'Count and rank',
    lead: 'One weight, three ways to store a change of it. Numbers are what the file holds; the highest rank is how many independent directions the change can have.',
    out: 'Outputs',
    in: 'Inputs',
    r: 'r',
    mode: 'Compare at',
    modes: { rank: 'the same r', budget: 'the same budget' },
    budgetHint: (r: number) =>
      `Same budget: LoHa keeps r = ${r}, LoRA gets r = ${2 * r} for the same numbers, LoKr the most that its steps allow. LoRA is ahead at r = 1, they tie at r = 2, LoHa is ahead from r = 3.`,
    rankHint: 'Same r: LoHa stores twice as many numbers as LoRA.',
    numbers: 'numbers',
    sum: 'tensor by tensor',
    fewer: (times: string) => `${times} times fewer than the weight`,
    more: 'as many as the weight, or more',
    highest: 'highest rank',
    ofFull: (full: string) => `of ${full}`,
    sides: 'with out = a·b and in = c·d:',
  },
  factor: {
    title: 'How LoKr splits the weight',
    lead: 'A factor splits each side in two. The count is least near the middle and moves in steps, because only divisors fit.',
    convention: 'Convention',
    conventions: { peft: 'PEFT', lycoris: 'LyCORIS' },
    conventionHint: {
      peft: 'PEFT keeps (factor, rest) as they come.',
      lycoris: 'LyCORIS puts the smaller part first.',
    },
    both: 'Split the first factor too (decompose_both)',
    whole: 'Keep both factors whole (full_matrix, LyCORIS only)',
    auto: '−1 (squarest)',
    columns: {
      factor: 'factor',
      first: 'w1',
      second: 'w2',
      numbers: 'numbers',
      rank: 'highest rank',
    },
    ignored:
      'At the same budget LoKr gets its own r, and with −1 its own factor too; the table is for the same r.',
  },
  curves: {
    title: 'Numbers against highest rank',
    x: 'numbers stored, log scale',
    y: 'highest rank, log scale',
    full: 'the whole weight',
    other: 'LoKr with other factors',
    point: (method: string, r: number, numbers: string, bound: string) =>
      `${method}, r = ${r}: ${numbers} numbers, rank up to ${bound}`,
    long: 'Log-log chart of stored numbers against highest rank. The same numbers are in the table below it.',
    hint: 'Further left is cheaper, further up can reach a higher rank. A bound is not a score: see what a budget buys.',
  },
  claims: {
    title: 'An article’s claims, checked',
    lead: 'What a widely read comparison of the three says, each with the current numbers (d = outputs).',
    verdicts: { right: 'right', limits: 'right, with a limit', seldom: 'only in special cases' },
    attempt: 'Set it',
    example: {
      says: 'A 1024 × 1024 weight has 1 048 576 numbers; rank 1 keeps 2 048: 512 times fewer.',
      check: (numbers: string, times: string) => `1024 + 1024 = ${numbers}; ${times} times fewer.`,
    },
    lora: {
      says: 'LoRA: 2rd numbers, rank up to r.',
      check: (r: number, d: string, numbers: string, bound: string) =>
        `2 × ${r} × ${d} = ${numbers}; rank up to ${bound}.`,
    },
    loha: {
      says: 'LoHa: 4rd numbers, rank up to r².',
      check: (r: number, d: string, numbers: string, bound: string) =>
        `4 × ${r} × ${d} = ${numbers}; rank up to min(r², d) = ${bound}: never above d.`,
    },
    crossover: {
      says: 'For the numbers of a LoRA of rank 2R, LoHa reaches R².',
      check: 'R = 1: 1 against 2. R = 2: 4 and 4. R = 3: 9 against 6. R = 4: 16 against 8.',
    },
    kronNumbers: {
      says: 'LoKr: 2d numbers.',
      holds: (d: string, numbers: string) =>
        `d = ${d}: both factors whole, d a square number: ${numbers} = 2d, whatever r. The rank can then reach d: the cheapest way to full rank.`,
      fails: (d: string, whole: string, twice: string, now: string) =>
        `d = ${d}: both factors whole take ${whole}, 2d is ${twice}; as set above it is ${now}.`,
    },
    kronRank: {
      says: 'LoKr: rank up to r.',
      holds: (bound: string) =>
        `One part of the split is 1, so the rank is at most ${bound}: it holds here.`,
      fails: (terms: string, bound: string, r: number) =>
        `rank(w1 ⊗ w2) = rank(w1) × rank(w2), up to ${terms} = ${bound}, not ${r}.`,
    },
    memory: {
      says: 'Full fine-tuning of 60 billion numbers takes about 700 GB.',
      check:
        '60·10⁹ × 4 bytes × 3 (weights, gradients, one state) = 720 GB = 671 GiB; AdamW keeps two states: 960 GB.',
    },
  },
  propositions: {
    title: 'FedPara’s propositions, to try',
    one: 'Proposition 1: the rank of (X1 Y1ᵀ) ⊙ (X2 Y2ᵀ) is at most r1 r2',
    oneText: (n: number) =>
      `Why: each product is a sum of rank-one layers, and two rank-one layers multiplied cell by cell are again rank one; that makes r1 r2 layers. Random factors, ${n} × ${n}:`,
    bound: 'bound',
    measured: 'measured',
    sigma: (n: number) => `The ${n} singular values, log scale`,
    two: 'Proposition 2: for a given bound, r1 = r2 costs least',
    twoText: (target: number) =>
      `Every r1 with the smallest r2 that gives r1 r2 ≥ ${target}; the bar is (r1 + r2)(out + in).`,
    twoBar: (r1: number, r2: number, numbers: string) =>
      `r1 = ${r1}, r2 = ${r2}: ${numbers} numbers`,
    least: 'least',
  },
  calculator: {
    title: 'Against what came before',
    lead: 'The same r and factor on a real model’s shapes, beside full fine-tuning, bottleneck adapters and prefix tuning.',
    model: 'Model',
    target: 'Adapted weights',
    targets: { qv: 'q and v', attention: 'attention', all: 'all linear' },
    bytes: 'A frozen number',
    bytesOf: { 4: '4 bytes', 2: '2 bytes', 1: '1 byte', 0.5: '4 bits' },
    states: 'Optimiser',
    statesOf: ['SGD', 'SGD with momentum', 'AdamW'],
    width: 'Bottleneck width',
    prefix: 'Prefix length',
    columns: {
      trained: 'trained numbers',
      share: 'of the model',
      memory: 'memory of training',
      use: 'in use',
    },
    full: 'Full fine-tuning',
    bottleneck: 'Bottleneck adapters',
    prefixTuning: 'Prefix tuning',
    useFull: 'nothing added; a whole model for every task',
    useMerged: 'merged: nothing added; beside the weight: a little more work',
    useBottleneck: (products: number, share: string) =>
      `${products} more products in a row for every token, ${share} more numbers to read; cannot be merged`,
    usePrefix: (length: string, context: string, share: string) =>
      `${length} of ${context} positions are taken (${share})`,
    legend: { weights: 'weights', gradients: 'gradients', optimiser: 'optimiser' },
    note: 'Weights, gradients and optimiser only; activations come on top and depend on the batch. What is trained takes 4 bytes a number. GB = 10⁹ bytes.',
    none: 'no shapes for this one: only its size',
  },
  products: {
    title: 'See the products',
    lead: 'The same weight’s change, made in three ways. LoRA adds rank-one layers; LoHa multiplies two such sums cell by cell; LoKr lays copies of one small matrix, each weighed by a number of another. Point at a cell of ΔW, or use the arrow keys in it, to see what made it.',
    source: 'Numbers from',
    sources: { random: 'dice', adapter: 'the adapter above', picture: 'a picture, fitted' },
    adapterOf: (country: string, weight: string) => `${country}, ${weight}: choose others above.`,
    picture: 'Picture',
    pictures: { face: 'face', plaid: 'plaid', tiles: 'tiles', circle: 'circle', noise: 'noise' },
    size: 'Size',
    dice: 'Dice',
    factor: 'LoKr’s factor',
    play: 'Play',
    pause: 'Pause',
    step: 'Step',
    built: 'Built so far',
    row: 'Row',
    col: 'Column',
    progress: {
      lora: (done: number, all: number) => `${done} of ${all} layers`,
      loha: (done: number, all: number) => `${done} of ${all} layers in each product`,
      lokr: (done: number, all: number) => `${done} of ${all} blocks`,
    },
    layer: (k: number) => `layer ${k}`,
    matrix: (name: string, rows: number, cols: number) => `${name}, ${rows} by ${cols}, as colours`,
    pick: (method: string, rows: number, cols: number) =>
      `${method}: the change, ${rows} by ${cols}. Arrow keys choose a cell; its arithmetic stands below.`,
    factorScale: 'factors',
    changeScale: 'ΔW and its layers',
    target: 'the picture',
    errors: 'Missed share of the picture (squared), log scale; every method has the same budget',
    fitStep: (step: number, all: number) => `step ${step} of ${all}`,
    missed: (method: string, numbers: string, percent: string) =>
      `${method}, ${numbers} numbers: ${percent} % missed`,
    cut: (rows: number, cols: number) => `(the first ${rows} rows and ${cols} columns)`,
  },
  measured: {
    title: 'The bound and the measured rank',
    lead: 'Of the three changes above. Drag the threshold: the numerical rank counts the singular values over it; the other two need none.',
    long: 'Singular values of the three changes, relative to the largest, log scale, with a threshold. The ranks are in the table beside it.',
    axis: (n: number) => `singular values, largest first, 1 to ${n}`,
    threshold: 'Threshold',
    bound: 'bound',
    numerical: 'numerical',
    stable: 'stable',
    entropy: 'entropy',
    means: {
      bound: 'what the factors allow',
      numerical: 'how many σ are over the threshold',
      stable: '‖ΔW‖² / σ₁²: how many directions as strong as the first',
      entropy: 'e to the entropy of σ² / Σσ²: over how many directions the energy is spread',
    },
    how: 'How it is measured',
    howText:
      'Never from ΔW itself. LoRA: the small triangles of B and A. LoHa: cell by cell, two sums of r layers are one sum of r² layers, then as LoRA. LoKr: every σ of w1 times every σ of w2.',
  },
  budget: {
    title: 'What a budget buys',
    lead: 'The place-name model above, trained again and again: each setting twice, from two seeds, 400 steps, stopped early. Loss is measured on names that were held out; lower is better.',
    names: 'Names of',
    show: 'Show',
    all: 'all',
    factor: (factor: string) => `, factor ${factor}`,
    x: 'Across: numbers stored in all 28 weights, log scale. Up: held-out loss, nats a token.',
    long: 'Chart of held-out loss against stored numbers by method. The same numbers are in the table below it.',
    hint: (base: string) =>
      `Without an adapter the loss is ${base}. Marks: mean of two seeds; the thin line joins the seeds. Point at one for its numbers.`,
    point: (name: string, numbers: string, mean: string, losses: string, bound: number) =>
      `${name}: ${numbers} numbers, loss ${mean} (seeds ${losses}); rank of a 128 × 128 weight up to ${bound}.`,
    columns: {
      setting: 'setting',
      numbers: 'numbers',
      bound: 'highest rank, 128 × 128',
      losses: 'loss of each seed',
      mean: 'mean',
    },
    reading: 'What can be read from it',
    readings: {
      ranks: (n2: string, l2: string, n8: string, l8: string, gain: string, noise: string) =>
        `LoRA r = 2 against r = 8: ${n2} numbers reach ${l2}, ${n8} reach ${l8}. Four times the numbers buy ${gain} nats; two seeds of one setting differ by up to ${noise}.`,
      same: (numbers: string, boundA: number, lossA: string, boundB: number, lossB: string) =>
        `At ${numbers} numbers LoRA (rank up to ${boundA}) has ${lossA}, LoHa (rank up to ${boundB}) ${lossB}:`,
      better: (name: string) => `${name} is ahead.`,
      tie: (noise: string) => `nearer than two seeds of one setting can be (${noise}), so a tie.`,
      small: (name: string, numbers: string, loss: string, bound: number) =>
        `Below 10 000 numbers the best is ${name}: ${numbers} numbers, ${loss}, rank up to ${bound}.`,
    },
    honest:
      'A higher bound is not a better score: what counts is whether training finds a change that helps, and few names soon say all they can. One tiny model, one learning rate: other tasks may order the three otherwise.',
    theirs: 'PEFT’s own benchmark',
    theirsLead:
      'Their numbers, not ours: Llama-3.2-3B on MetaMathQA, adapters on q and v, test accuracy of single runs whose learning rates and other settings differ. Of these adapters LoHa has the highest bound, 1 024, and the lowest score.',
    theirsLink: 'their page',
    accuracy: 'test accuracy',
  },
  table: 'The same as a table',
}

export type LabMessages = typeof en
