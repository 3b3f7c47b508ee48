import { LokahiError, wait } from './errors.js'
import * as core from './lokahi.js'
import { platform, type WasmSource } from './platform.js'

/** What the products run on. */
export type Backend = 'webgpu' | 'cpu'

export interface InitOptions {
  /**
   * `auto` (the default) takes WebGPU on a real GPU and the CPU where there is none, or only a
   * software one. `webgpu` and `cpu` insist.
   */
  device?: 'auto' | Backend
  /** Another place for the wasm, where a bundler does not carry it along. */
  wasm?: WasmSource
}

export interface Engine {
  backend: Backend
  /** Why this backend, in a sentence. */
  reason: string
  /** The name of the GPU, as far as the browser tells; empty on the CPU. */
  device: string
}

let loading: Promise<unknown> | undefined
let opened: core.CoreDevice | undefined
let current: Engine | undefined

/**
 * Loads the wasm and chooses a backend. May be called again, at once or later, to choose another;
 * models that are loaded stay where they are.
 */
export async function init(options: InitOptions = {}): Promise<Engine> {
  const { device = 'auto' } = options
  if (!['auto', 'webgpu', 'cpu'].includes(device)) {
    throw new LokahiError('BadArgument', `device: expected auto, webgpu or cpu, got ${device}`)
  }
  loading ??= load(options.wasm)
  try {
    await loading
  } catch (error) {
    loading = undefined
    throw error
  }
  current = await choose(device)
  return { ...current }
}

async function load(wasm: WasmSource | undefined): Promise<void> {
  const source = wasm ?? (await platform.wasm())
  try {
    await core.default({ module_or_path: source })
  } catch (cause) {
    const where = source instanceof URL || typeof source === 'string' ? ` from ${source}` : ''
    throw new LokahiError(
      'WasmNotFound',
      `the wasm could not be loaded${where}: ${(cause as Error).message}. With Vite, add ` +
        `optimizeDeps: { exclude: ['lokahi'] }, or pass its address: ` +
        `import wasm from 'lokahi/lokahi.wasm?url'; init({ wasm })`,
      { cause },
    )
  }
}

async function choose(device: 'auto' | Backend): Promise<Engine> {
  const cpu = (reason: string): Engine => ({ backend: 'cpu', reason, device: '' })
  if (device === 'cpu') return cpu('the CPU was asked for')
  try {
    const gpu = await openDevice()
    const name = gpu.name || 'a GPU without a name'
    if (device === 'webgpu')
      return { backend: 'webgpu', reason: 'WebGPU was asked for', device: name }
    if (gpu.software) return cpu(`the only GPU is a software one (${name}): the CPU is faster`)
    return { backend: 'webgpu', reason: 'WebGPU on a real GPU', device: name }
  } catch (error) {
    if (device === 'webgpu') throw error
    return cpu((error as Error).message)
  }
}

/** The WebGPU device, opened once. */
export async function openDevice(): Promise<core.CoreDevice> {
  if (!globalThis.navigator?.gpu) {
    throw new LokahiError('Device', 'there is no WebGPU here')
  }
  opened ??= await wait(() => core.CoreDevice.open())
  return opened
}

/** The chosen engine; an error before `init`. */
export function engine(): Engine {
  if (!current) throw new LokahiError('NotInitialised', 'call and await init() first')
  return current
}
