import type { Folder } from './source.js'

/**
 * What differs between a browser and Node. The Node entry replaces both; nothing here touches a
 * global when it is imported.
 */
export interface Platform {
  /** The wasm beside this file. */
  wasm(): Promise<WasmSource>
  /** A folder or a file on disk, where a string is a path; `undefined` where it is an address. */
  folder(source: string | URL): Promise<Folder | undefined>
}

/** Where the wasm may come from. */
export type WasmSource = URL | string | Response | BufferSource | WebAssembly.Module

export const platform: Platform = {
  async wasm() {
    // Written out in full: bundlers look for this form and carry the file along.
    return new URL('./lokahi_bg.wasm', import.meta.url)
  },
  folder: async () => undefined,
}
