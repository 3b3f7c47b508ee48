import type { Conventions } from './adapter.js'
import { readParts, type Bytes } from './bytes.js'
import { LokahiError, call } from './errors.js'
import { readHeader } from './header.js'
import type { CoreAdapter, CoreAdapterData, CoreFile } from './lokahi.js'
import { readWhole, type TaskOptions } from './source.js'

/** What an adapter is opened from. */
export interface Opening {
  file: Bytes
  /** `adapter_config.json`, in a PEFT folder. */
  config: Uint8Array | undefined
  conventions: Conventions | undefined
}

/** Bytes of a file and where they begin. */
type Part = [start: number, bytes: Uint8Array]

/** The half of the wasm that an adapter is opened in: that of models, or that of the tools. */
interface Core<A> {
  CoreAdapter: {
    [open in 'open' | 'openGguf']: (...given: Parameters<(typeof CoreAdapter)[open]>) => A
  }
  CoreFile: typeof CoreFile
}

/** An adapter in one of the two wasms; its numbers stay in the file until they are asked for. */
export class Opened<A extends CoreAdapter = CoreAdapter> {
  readonly file: Bytes
  /** Parts of the file with the alphas, which the modules are made of. */
  readonly #scalars: readonly Part[]
  #core: A | undefined

  private constructor(core: A, file: Bytes, scalars: readonly Part[]) {
    this.#core = core
    this.file = file
    this.#scalars = scalars
    this.#forget()
  }

  static async open<A extends CoreAdapter>(
    core: Core<A>,
    opening: Opening,
    options: TaskOptions,
  ): Promise<Opened<A>> {
    const { file, config, conventions } = opening
    if (/\.gguf$/i.test(file.name)) {
      const bytes = await readWhole(file, options)
      const adapter = call(() => core.CoreAdapter.openGguf(file.name, bytes))
      return new Opened(adapter, file, [])
    }
    const header = await readHeader(core, file, options.signal)
    const adapter = call(() => {
      try {
        return core.CoreAdapter.open(config, header, conventions)
      } finally {
        header.free()
      }
    })
    const scalars: Part[] = []
    await readParts(file, adapter.scalars(), options.signal, (...part) => scalars.push(part))
    return new Opened(adapter, file, scalars)
  }

  get core(): A {
    if (!this.#core) throw new LokahiError('Disposed', 'this adapter was disposed')
    return this.#core
  }

  /** Reads the numbers of one module and hands them over. */
  async withModule<T>(
    module: string,
    use: (core: A) => T,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const ranges = call(() => this.core.ranges(module))
    const parts: Part[] = []
    await readParts(this.file, ranges, signal, (...part) => parts.push(part))
    return this.#with(parts, use)
  }

  /** Reads all numbers. The result must be freed. */
  async data({ signal, onProgress }: TaskOptions = {}): Promise<CoreAdapterData> {
    const extent = this.core.extent()
    const parts: Part[] = []
    for (let i = 0; i < extent.length; i += 2) {
      parts.push([extent[i], await this.file.read(extent[i], extent[i + 1])])
      signal?.throwIfAborted()
    }
    const { name: file, size: total } = this.file
    onProgress?.({ status: 'done', file, loaded: total, total, progress: 100 })
    return this.#with(parts, (core) => core.read())
  }

  #with<T>(parts: readonly Part[], use: (core: A) => T): T {
    return call(() => {
      // It may have been disposed of in the meantime.
      const { core } = this
      try {
        for (const [at, part] of parts) core.insert(at, part)
        return use(core)
      } finally {
        this.#forget()
      }
    })
  }

  /** Leaves nothing of the file in memory but the alphas. */
  #forget(): void {
    const { core } = this
    core.clear()
    for (const [at, part] of this.#scalars) core.insert(at, part)
  }

  dispose(): void {
    this.#core?.free()
    this.#core = undefined
  }
}
