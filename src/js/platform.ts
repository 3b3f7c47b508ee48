/**
 * What differs between a browser and Node. The Node entry replaces both; nothing here touches a
 * global when it is imported.
 */
export interface Platform {
  /** The wasm beside this file. */
  wasm(): Promise<WasmSource>
  /** A folder on disk, where a string is a path; `undefined` where it is an address. */
  folder(source: string | URL): ((file: string) => Promise<Uint8Array | undefined>) | undefined
}

/** Where the wasm may come from. */
export type WasmSource = URL | string | Response | BufferSource | WebAssembly.Module

export const platform: Platform = {
  async wasm() {
    // Written out in full: bundlers look for this form and carry the file along.
    return new URL('./lokahi_bg.wasm', import.meta.url)
  },
  folder: () => undefined,
}
