// What transformers and PEFT computed with SmolLM2 and its adapters, against a model of the package:
// the same in Node and in a page.

/** The folder of an adapter, which the page has. */
export const adapterFolder = (name) => `./www/public/smollm2/${name}/`

/** The goldens, from `read(file)`, which gives the bytes of a file of tests/fixtures/smollm2. */
export async function readGoldens(read) {
  const goldens = JSON.parse(new TextDecoder().decode(await read('goldens.json')))
  // A Buffer of Node would not be copied by slice.
  const bytes = new Uint8Array(await read('goldens.safetensors'))
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)))
  const last = (name, prompt) => {
    const [start, end] = header[`${name}.${prompt}.last`].data_offsets
    return new Float32Array(bytes.slice(8 + length + start, 8 + length + end).buffer)
  }
  return { ...goldens, last }
}

/** Makes one adapter active, or none for `base`. */
export const activate = (model, name) => model.setAdapters(name === 'base' ? [] : [name])

/** How far the logits behind a prompt are off, as a share of the largest. */
export async function logitsOff(model, goldens, name, prompt) {
  await activate(model, name)
  const { ids } = goldens.prompts[prompt]
  const { logits } = await model.forward(ids)
  const want = goldens.last(name, prompt)
  const got = logits.subarray(logits.length - want.length)
  const off = want.reduce((most, x, i) => Math.max(most, Math.abs(x - got[i])), 0)
  return off / want.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
}

/** The 32 most likely tokens behind a prompt, alone. */
export async function greedy(model, goldens, name, prompt) {
  await activate(model, name)
  const ids = []
  for await (const id of model.generateIds(goldens.prompts[prompt].ids, { maxTokens: 32 })) {
    ids.push(id)
  }
  return ids
}

/** The most likely tokens of all adapters in one batch. */
export async function greedyTogether(model, goldens, prompt, maxTokens = 32) {
  const names = Object.keys(goldens.adapters)
  const mixes = names.map((name) => (name === 'base' ? {} : { [name]: 1 }))
  const texts = names.map(() => [])
  const { ids } = goldens.prompts[prompt]
  for await (const { row, id } of model.compare(ids, mixes, { maxTokens })) {
    if (id !== undefined) texts[row].push(id)
  }
  return Object.fromEntries(names.map((name, row) => [name, texts[row]]))
}

/** What the goldens say to both. */
export function expected(goldens, name, prompt) {
  const { ids } = goldens.prompts[prompt]
  return goldens.adapters[name].greedy[prompt].ids.slice(ids.length)
}

/** The perplexity of the first blocks of the King James Bible. */
export async function perplexity(model, goldens, name, blocks = goldens.perplexity_blocks.length) {
  await activate(model, name)
  let [sum, count] = [0, 0]
  for (const ids of goldens.perplexity_blocks.slice(0, blocks)) {
    const { logits, shape } = await model.forward(ids)
    for (const [at, next] of ids.slice(1).entries()) {
      const row = logits.subarray(at * shape[1], (at + 1) * shape[1])
      const top = row.reduce((most, x) => Math.max(most, x))
      const total = row.reduce((all, x) => all + Math.exp(x - top), 0)
      sum += Math.log(total) + top - row[next]
      count += 1
    }
  }
  return Math.exp(sum / count)
}
