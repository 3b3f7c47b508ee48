// jax-js on WebGPU, compiled by its jit.
import { blockUntilReady, defaultDevice, init, jit, numpy as np } from '@jax-js/jax'
import { dependencies } from '../package.json'

const AT_ONCE = 16

const product = (x, weight) => np.dot(x, weight.transpose())

const deltas = {
  lora: (x, { a, b }) => product(product(x, a), b),
  loha: (x, { w1_a, w1_b, w2_a, w2_b }) => product(x, np.dot(w1_a, w1_b).mul(np.dot(w2_a, w2_b))),
  lokr: (x, { w1, w2 }) => {
    const [[rows], [ol, im], [ok, in_n]] = [x, w1, w2].map(({ shape }) => shape)
    const code = product(x.reshape([rows * im, in_n]), w2)
    // `np.matmul` of a matrix and a batch gives wrong numbers in 0.1.25.
    return np.einsum('uv,tvp->tup', w1, code.reshape([rows, im, ok])).reshape([rows, ol * ok])
  },
}

export async function open(device) {
  const where = device === 'webgpu' ? 'webgpu' : 'wasm'
  const found = await init(where)
  if (!found.includes(where)) throw new Error(`jax-js has no ${where} here`)
  defaultDevice(where)
  const name = `jax-js ${where}`
  return { name, about: `${name} ${dependencies['@jax-js/jax']}`, product: one }
}

async function one({ method, x, weight, factors }) {
  const upload = ({ shape, data }) => np.array(data).reshape(shape)
  const held = {
    x: upload(x),
    ...(weight && { weight: upload(weight) }),
    factors: Object.fromEntries(Object.entries(factors).map(([key, m]) => [key, upload(m)])),
  }
  await blockUntilReady(held)
  const compiled = jit(({ x, weight, factors }) => {
    const base = weight && product(method ? x.ref : x, weight)
    const delta = method && deltas[method](x, factors)
    return base && delta ? base.add(delta) : (base ?? delta)
  })
  // Whoever is handed an array owns it.
  const lent = () => ({
    x: held.x.ref,
    ...(weight && { weight: held.weight.ref }),
    factors: Object.fromEntries(Object.entries(held.factors).map(([key, m]) => [key, m.ref])),
  })
  return {
    // What nobody waits for is never computed, and so many results at once fit into memory.
    async run(times) {
      for (let left = times; left > 0; left -= AT_ONCE) {
        const results = Array.from({ length: Math.min(left, AT_ONCE) }, () => compiled(lent()))
        for (const y of await blockUntilReady(results)) y.dispose()
      }
    },
    read: () => compiled(lent()).data(),
    dispose() {
      compiled.dispose()
      for (const each of [held.x, held.weight, ...Object.values(held.factors)]) each?.dispose()
    },
  }
}
