import type { Bytes } from './bytes.js'
import { shardsOf } from './checkpoint.js'
import { loadTools, type Tools } from './engine.js'
import { LokahiError, call } from './errors.js'
import { readHeader } from './header.js'
import type { CoreBase, CoreFile } from './lokahi_tools.js'
import { missing, openSource, readWhole, type LoadOptions, type Source } from './source.js'

/** A file of a base model, and its header. */
export interface BaseFile {
  file: Bytes
  header: CoreFile
}

const ONE = 'model.safetensors'
const INDEX = 'model.safetensors.index.json'
const CONFIG = 'config.json'

/** A base model without its numbers: what adapters are named and checked by, and merged into. */
export class Base {
  /** The files that hold its tensors. @internal */
  readonly files: readonly BaseFile[]
  /** `config.json`, where there is one. @internal */
  readonly config: Uint8Array | undefined
  #core: CoreBase | undefined

  private constructor(tools: Tools, files: readonly BaseFile[], config: Uint8Array | undefined) {
    this.files = files
    this.config = config
    const core = new tools.CoreBase()
    this.#core = core
    call(() => {
      for (const { header } of files) core.add(header)
      core.finish(config)
    })
  }

  /**
   * Reads the headers of a model: one safetensors file, or a folder with `model.safetensors` (or
   * several files and their index) and, where there is one, `config.json`.
   */
  static async load(source: Source, options: LoadOptions = {}): Promise<Base> {
    const tools = await loadTools()
    options.signal?.throwIfAborted()
    const folder = await openSource(source, options)
    const config = await folder.open(CONFIG, 'whole')
    const index = await folder.open(INDEX, 'whole')
    const found: Bytes[] = []
    const only = index ? undefined : await folder.open(ONE)
    if (only) found.push(only)
    const others = folder.names?.filter((name) => name.endsWith('.safetensors')) ?? []
    const names = index ? shardsOf(await readWhole(index, options)) : only ? [] : others
    for (const name of names) {
      const file = await folder.open(name)
      if (!file) throw missing(name, source)
      found.push(file)
    }
    if (found.length === 0) throw missing(ONE, source)
    const files: BaseFile[] = []
    for (const file of found) {
      files.push({ file, header: await readHeader(tools, file, options.signal) })
    }
    return new Base(tools, files, config && (await readWhole(config, options)))
  }

  /** @internal */
  core(): CoreBase {
    if (!this.#core) throw new LokahiError('Disposed', 'this base was disposed')
    return this.#core
  }

  /** Frees its memory. May be called again. */
  dispose(): void {
    this.#core?.free()
    if (this.#core) for (const { header } of this.files) header.free()
    this.#core = undefined
  }
}
