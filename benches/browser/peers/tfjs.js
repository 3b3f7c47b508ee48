// TensorFlow.js on WebGPU.
import {
  add,
  dispose,
  env,
  matMul,
  mul,
  ready,
  reshape,
  setBackend,
  slice,
  tensor,
  tidy,
  transpose,
} from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-backend-webgpu'
import { dependencies } from '../package.json'

const product = (x, weight) => matMul(x, weight, false, true)

const deltas = {
  // `a` lies transposed: 4.22 splits a long sum, and with a transposed matrix its numbers are wrong then.
  lora: (x, { a, b }) => product(matMul(x, a), b),
  loha: (x, { w1_a, w1_b, w2_a, w2_b }) => product(x, mul(matMul(w1_a, w1_b), matMul(w2_a, w2_b))),
  lokr: (x, { w1, w2 }) => {
    const [[rows], [ol, im], [ok, in_n]] = [x, w1, w2].map(({ shape }) => shape)
    const code = product(reshape(x, [rows * im, in_n]), w2)
    return reshape(matMul(w1, reshape(code, [rows, im, ok])), [rows, ol * ok])
  },
}

export async function open() {
  // Small products would be computed on the CPU otherwise.
  env().set('WEBGPU_CPU_FORWARD', false)
  await setBackend('webgpu')
  await ready()
  const name = 'tfjs webgpu'
  return { name, about: `${name} ${dependencies['@tensorflow/tfjs-backend-webgpu']}`, product: one }
}

async function one({ method, x, weight, factors }) {
  const upload = ({ shape, data }) => tensor(data, shape)
  const held = { x: upload(x), weight: weight && upload(weight) }
  const parts = tidy(() => {
    const all = Object.fromEntries(Object.entries(factors).map(([key, m]) => [key, upload(m)]))
    return all.a ? { ...all, a: transpose(all.a) } : all
  })
  const compute = () =>
    tidy(() => {
      const base = weight && product(held.x, held.weight)
      const delta = method && deltas[method](held.x, parts)
      return base && delta ? add(base, delta) : (base ?? delta)
    })
  return {
    // What is recorded is sent when something is read.
    async run(times) {
      for (let i = 1; i < times; i++) dispose(compute())
      const first = tidy(() => slice(compute(), [0, 0], [1, 1]))
      await first.data()
      dispose(first)
    },
    async read() {
      const y = compute()
      const data = await y.data()
      dispose(y)
      return data
    },
    dispose: () => dispose([held, parts]),
  }
}
