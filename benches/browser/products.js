// One product `y = x W^T + x dW^T` at a time, in every form of ours and as others would compose it.
import { difference, enough, interleaved, time } from './measure.js'
import { deviation, expected, factorsOf, random } from './numbers.js'

const KINDS = [
  { name: 'base' },
  { name: 'LoRA r 8', method: 'lora', rank: 8 },
  { name: 'LoHa r 8', method: 'loha', rank: 8 },
  { name: 'LoKr f -1', method: 'lokr', factor: -1 },
  { name: 'LoKr f 8', method: 'lokr', factor: 8 },
]

/** How far a result may be off, as a share of its largest number. */
const OFF = 1e-3
/** Columns of a result that are compared. */
const COMPARED = 64
/** Milliseconds of a sample at least. */
const LEAST = 20
/** From so many milliseconds of a run on, so many samples tell enough. */
const SLOW = [
  [1000, 2],
  [250, 3],
]

/**
 * `lokahi`: the package. `peers`: what their `open` gave. `only`: part of the names of cells. `progress`: is told of each cell.
 * Milliseconds of one run.
 */
export async function products(
  lokahi,
  { device, rounds, shapes, rows, only = '', peers = [], progress = () => {} },
) {
  const engine = await lokahi.init({ device })
  const { Product } = lokahi
  const wanted = shapes
    .flatMap((shape) => rows.flatMap((count) => KINDS.map((kind) => ({ shape, count, kind }))))
    .map((each) => ({ ...each, name: nameOf(each) }))
    .filter(({ name }) => name.includes(only))
  if (wanted.length === 0) throw new Error(`no cell has '${only}' in its name`)
  const cells = []
  let weight
  for (const [at, { shape, count, kind, name }] of wanted.entries()) {
    if (String(weight?.shape) !== String(shape)) weight = await weightOf(Product, shape)
    const start = performance.now()
    const each = { shape, rows: count, kind, weight, device, rounds, peers, name }
    cells.push({ shape, rows: count, kind: kind.name, ...(await cell(Product, each)) })
    const seconds = ((performance.now() - start) / 1e3).toFixed(1)
    await progress(`${at + 1} of ${wanted.length}: ${name}, ${seconds} s`)
  }
  return { engine, peers: peers.map(({ about }) => about), cells }
}

const nameOf = ({ shape, count, kind }) =>
  `${shape.join('x')}, ${count} ${count === 1 ? 'row' : 'rows'}, ${kind.name}`

/** The weight of every product of this shape: those of one seed have the same. */
async function weightOf(Product, shape) {
  const [out, inputs] = shape
  const product = await Product.create({ shape, device: 'cpu' })
  const unit = new Float32Array(inputs * inputs)
  for (let i = 0; i < inputs; i++) unit[i * inputs + i] = 1
  const columns = await product.run('base', unit)
  product.dispose()
  const data = new Float32Array(out * inputs)
  for (let j = 0; j < inputs; j++) {
    for (let i = 0; i < out; i++) data[i * inputs + j] = columns[j * out + i]
  }
  return { shape, data }
}

/** Every candidate, compared with f64 and then timed; and which of our forms the plan takes. */
async function cell(Product, { shape, rows, kind, weight, device, rounds, peers, name }) {
  const { method } = kind
  const [out, inputs] = shape
  const matrix = random(7)
  const x = matrix([rows, inputs], 1)
  const factors = factorsOf(kind, shape, matrix)
  const outputs = Array.from({ length: Math.min(out, COMPARED) }, (_, i, last = COMPARED - 1) =>
    out > COMPARED ? Math.floor((i * (out - 1)) / last) : i,
  )
  const agree = (who, what, off) => {
    if (off < OFF) return
    throw new Error(
      `${who}, ${what}, ${name}: off by ${off} of the largest number, ${OFF} is allowed`,
    )
  }
  const specs = {
    base: { x, weight, factors: {} },
    delta: { method, x, factors },
    both: { method, x, weight, factors },
  }
  const off = (y, spec) => deviation(y, expected(spec, outputs), outputs, out)

  // LoKr in whole factors, as the peers have it: PEFT takes them whole at large ranks.
  const { rank = Math.max(out, inputs), factor } = kind
  const ours = await Product.create({ shape, method, rank, factor, device })
  const disposed = [ours]
  try {
    agree('Lokahi', 'base', off(await ours.run('base', x.data), specs.base))
    const forms = method ? { base: 'base', both: 'structured', merged: 'merged' } : { base: 'base' }
    const candidates = []
    for (const [what, form] of Object.entries(forms)) {
      agree('Lokahi', form, await ours.deviation(form, x.data))
      const run = (repeats) => ours.time(form, { rows, repeats })
      candidates.push({ who: 'Lokahi', what, ...(await timed(run, rounds)) })
    }
    // As many of each form, as the delta is a difference of two.
    const fewest = Math.min(...candidates.map((each) => each.rounds))
    for (const each of candidates) each.rounds = fewest
    for (const peer of peers) {
      for (const what of method ? ['delta', 'both'] : ['base']) {
        const theirs = await peer.product({ shape, ...specs[what] })
        disposed.push(theirs)
        agree(peer.name, what, off(await theirs.read(), specs[what]))
        candidates.push({ who: peer.name, what, ...(await timed(theirs.run, rounds)) })
      }
    }
    const found = await interleaved(candidates, rounds)
    if (!method) return { found }
    found.push({ who: 'Lokahi', what: 'delta', ...difference(found[1], found[0]) })
    const { choice } = await ours.plan({ rows })
    return { found, choice: Object.keys(forms).find((what) => forms[what] === choice) }
  } finally {
    for (const each of disposed) await each.dispose()
  }
}

/** Milliseconds of one run, of something that runs so many times, and how many samples are taken. */
async function timed(run, rounds) {
  const { times, ms } = await enough(run, LEAST)
  return {
    run: async () => (await time(() => run(times))) / times,
    rounds: Math.min(rounds, SLOW.find(([least]) => ms / times >= least)?.[1] ?? rounds),
  }
}
