import type { Folder } from './source.js'

/**
 * What differs between a browser and Node. The Node entry replaces the first two; nothing here touches a
 * global when it is imported.
 */
export interface Platform {
  /** The wasm of models or of the tools, beside this file. */
  wasm(name: WasmName): Promise<WasmSource>
  /** A folder or a file on disk, where a string is a path; `undefined` where it is an address. */
  folder(source: string | URL): Promise<Folder | undefined>
  /** What addresses are relative to; in a worker of `lokahi/worker`, the page. */
  base(): string | undefined
}

export type WasmName = 'lokahi' | 'lokahi_tools'

/** Where the wasm may come from. */
export type WasmSource = URL | string | Response | BufferSource | WebAssembly.Module

export const platform: Platform = {
  async wasm(name) {
    // Written out in full: bundlers look for this form and carry the files along.
    return name === 'lokahi'
      ? new URL('./lokahi_bg.wasm', import.meta.url)
      : new URL('./lokahi_tools_bg.wasm', import.meta.url)
  },
  folder: async () => undefined,
  base: () => globalThis.document?.baseURI ?? globalThis.location?.href,
}
