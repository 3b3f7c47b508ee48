// onnxruntime-web, on WebGPU or in wasm on one thread. The wasm of 1.30 has no relaxed SIMD in it.
import { dependencies } from '../package.json'
import { model } from './onnx.js'

const libraries = {
  webgpu: () => import('onnxruntime-web/webgpu'),
  cpu: () => import('onnxruntime-web/wasm'),
}

/** `left right^T`, and `more` added. Exporters write linear layers like this. */
const product = (left, right, to, ...more) => ['Gemm', [left, right, ...more], to, ['transB']]

/** Nodes that end in `delta`. What is constant is known when the file is read, feeds come with `x`. */
const deltas = {
  lora: (constants) => ({
    constants,
    nodes: [product('x', 'a', 'code'), product('code', 'b', 'delta')],
  }),
  // As constants, its factors would be multiplied when the file is read: that is the merged form.
  loha: (feeds) => ({
    feeds,
    nodes: [
      ['MatMul', ['w1_a', 'w1_b'], 'half_1'],
      ['MatMul', ['w2_a', 'w2_b'], 'half_2'],
      ['Mul', ['half_1', 'half_2'], 'change'],
      product('x', 'change', 'delta'),
    ],
  }),
  lokr: ({ w1, w2 }, rows) => {
    const [[ol, im], [ok, in_n]] = [w1.shape, w2.shape]
    return {
      constants: { w1, w2 },
      shapes: { flat: [rows * im, in_n], groups: [rows, im, ok], whole: [rows, ol * ok] },
      nodes: [
        ['Reshape', ['x', 'flat'], 'parts'],
        product('parts', 'w2', 'code'),
        ['Reshape', ['code', 'groups'], 'grouped'],
        ['MatMul', ['w1', 'grouped'], 'products'],
        ['Reshape', ['products', 'whole'], 'delta'],
      ],
    }
  },
}

export async function open(device) {
  const ort = await libraries[device]()
  ort.env.wasm.numThreads = 1
  ort.env.logLevel = 'error'
  const where = device === 'webgpu' ? 'webgpu' : 'wasm'
  const name = `onnxruntime ${where}`
  return {
    name,
    about: `${name} ${dependencies['onnxruntime-web']}${device === 'cpu' ? ', one thread, SIMD, not relaxed' : ''}`,
    product: (spec) => one(ort, where, spec),
  }
}

async function one(ort, where, { method, shape: [out], x, weight, factors }) {
  const [rows] = x.shape
  const delta = method ? deltas[method](factors, rows) : { nodes: [] }
  const all = { x, ...delta.feeds }
  const nodes = [...delta.nodes]
  if (weight) nodes.push(product('x', 'weight', 'y', ...(method ? ['delta'] : [])))
  const result = nodes.at(-1)[2]
  const file = model({
    nodes,
    inputs: Object.fromEntries(Object.entries(all).map(([key, { shape }]) => [key, shape])),
    outputs: { [result]: [rows, out] },
    constants: { ...delta.constants, ...(weight && { weight }) },
    shapes: delta.shapes ?? {},
  })
  const session = await ort.InferenceSession.create(file, {
    executionProviders: [where],
    preferredOutputLocation: where === 'webgpu' ? 'gpu-buffer' : 'cpu',
  })
  const buffers = []
  const gpu = where === 'webgpu' ? await ort.env.webgpu.device : undefined
  const feed = ({ shape, data }) => {
    if (!gpu) return new ort.Tensor('float32', data, shape)
    const buffer = gpu.createBuffer({
      size: data.byteLength,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    })
    buffers.push(buffer)
    gpu.queue.writeBuffer(buffer, 0, data)
    return ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: shape })
  }
  const feeds = Object.fromEntries(Object.entries(all).map(([key, m]) => [key, feed(m)]))
  return {
    async run(times) {
      for (let i = 0; i < times; i++) (await session.run(feeds))[result].dispose()
      await gpu?.queue.onSubmittedWorkDone()
    },
    async read() {
      const y = (await session.run(feeds))[result]
      const data = await y.getData()
      y.dispose()
      return data
    },
    async dispose() {
      await session.release()
      for (const buffer of buffers) buffer.destroy()
    },
  }
}
