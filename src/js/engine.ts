import { LokahiError, wait } from './errors.js'
import { intact, type Integrity } from './integrity.js'
import * as core from './lokahi.js'
import { platform, type WasmName, type WasmSource } from './platform.js'

/** What the products run on. */
export type Backend = 'webgpu' | 'cpu'

/** What to compute on, and where the wasm is. */
export interface InitOptions {
  /**
   * `auto` (the default) takes WebGPU on a real GPU and the CPU where there is none, or only a
   * software one. `webgpu` and `cpu` insist.
   */
  device?: 'auto' | Backend
  /** Another place for the wasm, where a bundler does not carry it along. */
  wasm?: WasmSource
  /** The same for the wasm of the tools, which is fetched when one is used. */
  toolsWasm?: WasmSource
  /** What both must hash to: neither is compiled before it was compared. */
  integrity?: Integrity
}

/** What was chosen. */
export interface Engine {
  /** What models run on that do not ask for another. */
  backend: Backend
  /** Why this backend, in a sentence. */
  reason: string
  /** The name of the GPU, as far as the browser tells; empty on the CPU. */
  device: string
}

let loading: Promise<unknown> | undefined
let opening: Promise<core.CoreDevice> | undefined
let opened: core.CoreDevice | undefined
let current: Engine | undefined
let calls = 0
let chosen = 0

/**
 * Loads the wasm and chooses a backend. May be called again, at once or later, to choose another;
 * models that are loaded stay where they are.
 */
export async function init(options: InitOptions = {}): Promise<Engine> {
  const { device = 'auto' } = options
  if (!['auto', 'webgpu', 'cpu'].includes(device)) {
    throw new LokahiError('BadArgument', `device: expected auto, webgpu or cpu, got ${device}`)
  }
  const call = ++calls
  toolsWasm = options.toolsWasm ?? toolsWasm
  integrity = options.integrity ?? integrity
  loading ??= load(core.default, 'lokahi', options.wasm)
  try {
    await loading
  } catch (error) {
    loading = undefined
    throw error
  }
  const found = await choose(device)
  // Of calls at once, the last one decides, whichever takes longest.
  if (call > chosen) {
    chosen = call
    current = found
  }
  return { ...found }
}

/** The part of the wasm that converts, resizes, combines and merges. */
export type Tools = typeof import('./lokahi_tools.js')

let tools: Promise<Tools> | undefined
let toolsWasm: WasmSource | undefined
let integrity: Integrity | undefined

/** Fetches the tools, once. */
export async function loadTools(): Promise<Tools> {
  engine()
  tools ??= import('./lokahi_tools.js').then(async (glue) => {
    await load(glue.default, 'lokahi_tools', toolsWasm)
    return glue
  })
  try {
    return await tools
  } catch (error) {
    tools = undefined
    throw error
  }
}

async function load(
  start: (options: { module_or_path: WasmSource }) => Promise<unknown>,
  name: WasmName,
  wasm: WasmSource | undefined,
): Promise<void> {
  const source = wasm ?? (await platform.wasm?.(name))
  if (!source) throw new LokahiError('WasmNotFound', `${name}: import an entry of the package`)
  try {
    const module_or_path = integrity ? await intact(source, name, integrity) : source
    await start({ module_or_path })
  } catch (cause) {
    if (cause instanceof LokahiError) throw cause
    const where = source instanceof URL || typeof source === 'string' ? ` from ${source}` : ''
    throw new LokahiError(
      'WasmNotFound',
      `the wasm could not be loaded${where}: ${(cause as Error).message}. With Vite, add ` +
        `optimizeDeps: { exclude: ['lokahi'] }, or pass its address: ` +
        `import wasm from 'lokahi/${name}.wasm?url'; ` +
        `init({ ${name === 'lokahi' ? 'wasm' : 'toolsWasm: wasm'} })`,
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

/** The WebGPU device, opened once, and again after it was lost. */
export async function openDevice(): Promise<core.CoreDevice> {
  if (!globalThis.navigator?.gpu) {
    throw new LokahiError('Device', 'there is no WebGPU here')
  }
  if (opened && !opened.lost) return opened
  // Whoever comes while it is being opened waits for the same one.
  opening ??= wait(() => core.CoreDevice.open()).finally(() => (opening = undefined))
  return (opened = await opening)
}

/** The chosen engine; an error before `init`. */
export function engine(): Engine {
  if (!current) throw new LokahiError('NotInitialised', 'call and await init() first')
  return current
}
