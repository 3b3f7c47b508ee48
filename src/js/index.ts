/**
 * LoRA, LoHa and LoKr adapters on small models, in the browser, on WebGPU or the CPU.
 *
 * Nothing is fetched on import; `await init()` comes first.
 *
 * @module lokahi
 */
import { platform } from './platform.js'

// Written out in full: bundlers look for this form and carry the files along.
platform.wasm ??= async (name) =>
  name === 'lokahi'
    ? new URL('./lokahi_bg.wasm', import.meta.url)
    : new URL('./lokahi_tools_bg.wasm', import.meta.url)

export * from './face.js'
