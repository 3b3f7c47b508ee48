// Everything that the bench can do in a page; benches/run.mjs calls it.
import * as lokahi from 'lokahi'
import { model } from './model.js'
import { products } from './products.js'

/** Who computes the products beside us, by device. */
const PEERS = {
  cpu: [() => import('./peers/onnxruntime.js')],
  webgpu: [
    () => import('./peers/tfjs.js'),
    () => import('./peers/onnxruntime.js'),
    () => import('./peers/jax.js'),
  ],
}

/** The files that were picked into the page's input. */
const picked = () => [...document.querySelector('input').files]

async function opened(device) {
  const peers = []
  for (const load of PEERS[device]) peers.push(await (await load()).open(device))
  return peers
}

// A dispatch that is refused takes no time and leaves an older result behind: no figure counts then.
const refused = []
if (globalThis.GPUAdapter) {
  const { requestDevice } = GPUAdapter.prototype
  GPUAdapter.prototype.requestDevice = async function (...options) {
    const device = await requestDevice.apply(this, options)
    device.addEventListener('uncapturederror', ({ error }) => refused.push(error.message))
    return device
  }
}

async function progress(text) {
  if (refused.length > 0) throw new Error(`${text}: WebGPU refused: ${refused[0]}`)
  await window.progress(text)
}

window.bench = {
  model: (options) => model({ ...options, files: picked() }),
  products: async ({ peers, ...options }) =>
    products(lokahi, {
      ...options,
      peers: peers ? await opened(options.device) : [],
      progress,
    }),
}
