import type { Folder } from './source.js'

/**
 * What differs between a browser, Node and a page of a single file. Each entry sets what it has; nothing
 * here touches a global when it is imported.
 */
export interface Platform {
  /** The wasm of models or of the tools, as it came with the package. */
  wasm?: (name: WasmName) => Promise<WasmSource>
  /** A folder or a file on disk, where a string is a path; `undefined` where it is an address. */
  folder(source: string | URL): Promise<Folder | undefined>
  /** What addresses are relative to; in a worker of `lokahi/worker`, the page. */
  base(): string | undefined
}

export type WasmName = 'lokahi' | 'lokahi_tools'

/** Where the wasm may come from. */
export type WasmSource = URL | string | Response | BufferSource | WebAssembly.Module

export const platform: Platform = {
  folder: async () => undefined,
  base: () => globalThis.document?.baseURI ?? globalThis.location?.href,
}
