// SmolLM2 on one backend of ours, without and with adapters, beside wllama (llama.cpp in wasm) on
// the same file.
import { Wllama } from '@wllama/wllama'
import wllamaWasm from '@wllama/wllama/esm/wasm/wllama.wasm?url'
import { init, Model } from 'lokahi'
import { interleaved, summary, time } from './measure.js'

const METHODS = ['lora', 'loha', 'lokr']

/** About 170 tokens; each round another beginning, so that no cache of prompts helps. */
const prompt = (round) =>
  `Number ${round}. ` +
  'The sea was calm and the sailors were happy to be on the ship, and in the evening they sang. '.repeat(
    8,
  )

/**
 * `files`: the GGUF file, then config and weights of lora, loha, lokr. `device`: `cpu` or `webgpu`.
 * Times in ms, speeds in tokens a second.
 */
export async function model({ files, device, rounds, tokens, peers }) {
  const [gguf, ...adapters] = files
  const results = []
  const put = (what, unit, name, found) => results.push({ what, unit, name, ...found })

  const engine = await init({ device })
  let ours
  put(
    'load',
    'ms',
    'Lokahi',
    summary([
      await time(async () => (ours = await Model.fromPretrained([gguf], { context: 512 }))),
    ]),
  )
  for (const [at, name] of METHODS.entries()) {
    await ours.loadAdapter(adapters.slice(2 * at, 2 * at + 2), { name })
  }

  const mixes = {
    Lokahi: [],
    ...Object.fromEntries(METHODS.map((name) => [`Lokahi + ${name}`, [name]])),
  }
  /** Prefill in ms, then tokens a second behind it. */
  const run = async (text, maxTokens, mix) => {
    ours.setAdapters(mix)
    const ids = ours.tokenizer.encode(text)
    const start = performance.now()
    let [first, count] = [0, 0]
    for await (const id of ours.generateIds(ids, { maxTokens })) {
      if (count++ === 0) first = performance.now()
      void id
    }
    return [first - start, ((count - 1) * 1e3) / (performance.now() - first), ids.length]
  }
  const candidates = Object.entries(mixes).map(([name, mix]) => ({
    name,
    prefill: async (round) => (await run(prompt(round), 1, mix))[0],
    decode: async () => (await run('The sea was calm and the sailors', tokens, mix))[1],
  }))

  if (peers) {
    const wllama = new Wllama({ default: wllamaWasm }, { suppressNativeLog: true })
    const load = () => wllama.loadModel([gguf], { n_threads: 1, n_ctx: 512, n_gpu_layers: 0 })
    put('load', 'ms', 'wllama', summary([await time(load)]))
    const complete = (text, max_tokens) =>
      wllama.createCompletion({ prompt: text, max_tokens, temperature: 0 })
    candidates.push({
      name: 'wllama',
      prefill: async (round) => time(() => complete(prompt(round), 1)),
      decode: async (round) => {
        const text = `${round}: the sea was calm and the sailors`
        const { timings } = await complete(text, tokens)
        return timings.predicted_per_second
      },
    })
  }

  const named = (verb) => candidates.map((each) => ({ name: each.name, run: each[verb] }))
  for (const each of await interleaved(named('prefill'), rounds)) {
    put(`prefill of ${(await run(prompt(0), 1, []))[2]} tokens`, 'ms', each.name, each)
  }
  for (const each of await interleaved(named('decode'), rounds)) {
    put('decode', 'tokens/s', each.name, each)
  }

  // A step of one text and of four, each with its own adapters.
  const rows = [{}, { lora: 1 }, { loha: 1 }, { lokr: 1 }]
  ours.disableAdapters()
  const step = async (mixes) => {
    let [start, last] = [0, new Set()]
    const ids = ours.tokenizer.encode('The sea was calm')
    let steps = 0
    for await (const { row, id } of ours.compare(ids, mixes, { maxTokens: tokens })) {
      if (id === undefined || row !== 0) continue
      if (steps++ === 0) start = performance.now()
      last = performance.now()
    }
    return (last - start) / (steps - 1)
  }
  const batches = [
    { name: 'one text', run: () => step(rows.slice(0, 1)) },
    { name: 'four texts', run: () => step(rows) },
  ]
  for (const each of await interleaved(batches, rounds)) put('step', 'ms', each.name, each)

  const swaps = []
  for (let i = 0; i < 300; i++) {
    swaps.push(await time(() => ours.setAdapters([METHODS[i % 3]])))
  }
  put('swap', 'ms', 'Lokahi', summary(swaps))
  for (const name of METHODS) {
    const [merges, unmerges] = [[], []]
    for (let i = 0; i < 3; i++) {
      ours.setAdapters([name])
      // The merge is done when something was computed with it.
      const ready = () => ours.forward([1])
      await ready()
      merges.push(await time(async () => (ours.mergeAdapters(), ready())))
      unmerges.push(await time(() => ours.unmergeAdapters()))
    }
    put('merge, and a step', 'ms', name, summary(merges))
    put('unmerge', 'ms', name, summary(unmerges))
  }
  const memory = ours.memory
  ours.dispose()
  return { engine, memory, results }
}
