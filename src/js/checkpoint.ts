import { breather } from './breathe.js'
import type { Bytes } from './bytes.js'
import { LokahiError, call } from './errors.js'
import { readGgufHeader } from './gguf-header.js'
import { readHeader } from './header.js'
import * as core from './lokahi.js'
import type { CoreDevice, CoreFile, CoreLayout, CoreModel } from './lokahi.js'
import { missing, readWhole, type Folder, type LoadOptions, type Source } from './source.js'

const ONE = 'model.safetensors'
const INDEX = 'model.safetensors.index.json'
const CONFIG = 'config.json'

/** The files of a model, from which it can be loaded more than once. */
export class Checkpoint {
  /** One GGUF file, or safetensors files. */
  readonly files: readonly Bytes[]
  /** `config.json`; a GGUF file has none. */
  readonly #config: Uint8Array | undefined
  readonly #index: Uint8Array | undefined

  private constructor(files: readonly Bytes[], config?: Uint8Array, index?: Uint8Array) {
    this.files = files
    this.#config = config
    this.#index = index
  }

  /**
   * Finds `config.json` with `model.safetensors` or the files of its index, or one GGUF file. Where
   * `keep`, the files can be read again without the network.
   */
  static async open(
    folder: Folder,
    source: Source,
    keep: boolean,
    options: LoadOptions,
  ): Promise<Checkpoint> {
    const how = { how: 'stream', keep } as const
    const ggufs = folder.names?.filter((name) => /\.gguf$/i.test(name)) ?? []
    if (ggufs.length > 0 && !folder.names?.includes(CONFIG)) {
      if (ggufs.length > 1) {
        const got = ggufs.join(', ')
        throw new LokahiError('BadArgument', `source: expected one GGUF file, got ${got}`)
      }
      const file = await folder.open(ggufs[0], how)
      if (!file) throw missing(ggufs[0], source)
      return new Checkpoint([file])
    }
    const configFile = await folder.open(CONFIG, { how: 'whole' })
    if (!configFile) throw missing(CONFIG, source)
    const config = await readWhole(configFile, options)
    const only = await folder.open(ONE, how)
    if (only) return new Checkpoint([only], config)
    const indexFile = await folder.open(INDEX, { how: 'whole' })
    if (!indexFile) throw missing(`${ONE} or ${INDEX}`, source)
    const index = await readWhole(indexFile, options)
    const files: Bytes[] = []
    for (const name of shardsOf(index)) {
      const file = await folder.open(name, how)
      if (!file) throw missing(name, source)
      files.push(file)
    }
    return new Checkpoint(files, config, index)
  }

  /** The GGUF file, where it is one. */
  get gguf(): Bytes | undefined {
    return this.#config ? undefined : this.files[0]
  }

  /** Loads it onto a device, or for the CPU: no more than a tensor is in memory twice. */
  async load(
    device: CoreDevice | undefined,
    context: number | undefined,
    options: LoadOptions,
  ): Promise<CoreModel> {
    const layout = await this.#layout(options)
    const loading = call(() =>
      device
        ? core.CoreLoading.onDevice(layout, context, device)
        : core.CoreLoading.onCpu(layout, context),
    )
    const breathe = breather()
    try {
      for (const [at, file] of this.files.entries()) {
        for await (const piece of file.stream(options)) {
          call(() => loading.push(at, piece))
          await breathe()
          options.signal?.throwIfAborted()
        }
      }
    } catch (error) {
      loading.free()
      throw error
    }
    return call(() => loading.finish())
  }

  async #layout({ signal }: LoadOptions): Promise<CoreLayout> {
    const config = this.#config
    if (!config) {
      const [file] = this.files
      const header = await readGgufHeader(file, signal)
      try {
        const [start = 0, end = 0] = call(() => header.scalars())
        const scalars = await file.read(start, end)
        signal?.throwIfAborted()
        return call(() => core.CoreLayout.gguf(header, scalars))
      } finally {
        header.free()
      }
    }
    const headers: CoreFile[] = []
    try {
      for (const file of this.files) headers.push(await readHeader(core, file, signal))
    } catch (error) {
      for (const header of headers) header.free()
      throw error
    }
    // They are the layout's from here on.
    return call(() => core.CoreLayout.safetensors(config, headers, this.#index))
  }
}

/** The files that an index names, each once. */
export function shardsOf(index: Uint8Array): string[] {
  try {
    const { weight_map } = JSON.parse(new TextDecoder().decode(index))
    const names = new Set<unknown>(Object.values(weight_map))
    // Names of files in this folder: an index may come from anywhere.
    const plain = (name: unknown) => typeof name === 'string' && /^[\w.-]+$/.test(name)
    if (![...names].every(plain)) throw new Error('a name that is no file of the folder')
    return ([...names] as string[]).sort()
  } catch (cause) {
    const got = (cause as Error).message
    throw new LokahiError('BadFile', `${INDEX}: expected a weight_map, got: ${got}`, { cause })
  }
}
