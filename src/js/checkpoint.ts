import { breathe } from './breathe.js'
import type { Bytes } from './bytes.js'
import { LokahiError, call, wait } from './errors.js'
import { readGgufHeader } from './gguf-header.js'
import { readHeader } from './header.js'
import * as core from './lokahi.js'
import type { CoreDevice, CoreFile, CoreLayout, CoreLoading, CoreModel } from './lokahi.js'
import { missing, readWhole, type Folder, type LoadOptions, type Source } from './source.js'

const ONE = 'model.safetensors'
const INDEX = 'model.safetensors.index.json'
const CONFIG = 'config.json'
const GGUF = /\.gguf$/i

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
    const how = keep ? 'keep' : 'stream'
    const files: Bytes[] = []
    /** Opens a file of weights; `undefined` where there is none. */
    const add = async (name: string) => {
      const file = await folder.open(name, how)
      if (file) files.push(file)
      return file
    }
    const whole = async (name: string) => {
      const file = await folder.open(name, 'whole')
      return file && readWhole(file, options)
    }
    try {
      const only = options.file ?? onlyGguf(folder)
      if (only && GGUF.test(only)) {
        if (!(await add(only))) throw missing(only, source)
        return new Checkpoint(files)
      }
      const config = await whole(CONFIG)
      if (!config) throw missing(CONFIG, source)
      if (await add(only ?? ONE)) return new Checkpoint(files, config)
      const index = await whole(INDEX)
      if (!index) throw missing(only ?? `${ONE} or ${INDEX}`, source)
      for (const name of shardsOf(index)) {
        if (!(await add(name))) throw missing(name, source)
      }
      return new Checkpoint(files, config, index)
    } catch (error) {
      await close(files)
      throw error
    }
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
    let held: CoreLoading | CoreModel | undefined
    try {
      const layout = await this.#layout(options)
      const begun = call(() =>
        device
          ? core.CoreLoading.onDevice(layout, context, device)
          : core.CoreLoading.onCpu(layout, context),
      )
      held = begun
      for (const [at, file] of this.files.entries()) {
        for await (const piece of file.stream(options)) {
          call(() => begun.push(at, piece))
          await breathe()
          options.signal?.throwIfAborted()
        }
      }
      // Finishing takes it, whatever comes of it.
      held = undefined
      const made = call(() => begun.finish())
      held = made
      await wait(() => made.settled())
      return made
    } catch (error) {
      // What the wasm stopped in the middle of cannot be freed: its error is the one to tell.
      try {
        held?.free()
      } catch {}
      await this.close()
      throw error
    }
  }

  /** Lets go of files that were not read to their end. */
  async close(): Promise<void> {
    await close(this.files)
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

async function close(files: readonly Bytes[]): Promise<void> {
  await Promise.all(files.map((file) => file.close?.()))
}

/** The GGUF file of a folder that is no folder of transformers. */
function onlyGguf({ names = [] }: Folder): string | undefined {
  const found = names.filter((name) => GGUF.test(name))
  if (names.includes(CONFIG) || found.length === 0) return undefined
  if (found.length === 1) return found[0]
  throw new LokahiError('BadArgument', `source: expected one GGUF file, got ${found.join(', ')}`)
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
