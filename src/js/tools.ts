import { Adapter, type AdapterWarning } from './adapter.js'
import type { Base, BaseFile } from './base.js'
import { breathe } from './breathe.js'
import { loadTools } from './engine.js'
import { LokahiError, call } from './errors.js'
import { readHeader } from './header.js'
import type { CoreAdapter, CoreAdapterData, CoreMerge, Written } from './lokahi_tools.js'
import type { Opened } from './opened.js'
import type { TaskOptions } from './source.js'

/** Files by name. */
export type Files = Record<string, Uint8Array>

/** A format that adapters are saved in. */
export type Format = 'peft' | 'lycoris' | 'gguf'

/** How to save an adapter. */
export interface SaveOptions extends TaskOptions {
  /** How factors are stored where it holds them exactly; else they are F32, which is the default. */
  dtype?: 'F32' | 'F16' | 'BF16'
  /** Gives modules the names of the base; GGUF needs it. */
  base?: Base
  /** PEFT: where it finds the base. */
  baseModel?: string
  /** LyCORIS: what names begin with. */
  prefix?: string
}

/** What saving rewrote or could not check. */
export interface Saved {
  /** By name; nothing is written anywhere. */
  files: Files
  /** What differs from the adapter that was loaded. */
  warnings: AdapterWarning[]
}

/** The files of an adapter in a format. What the format cannot hold exactly is an error. */
export async function save(
  adapter: Adapter,
  format: Format,
  options: SaveOptions = {},
): Promise<Saved> {
  if (options.base) await adapter.resolve(options.base)
  const data = await dataOf(await adapter.inTools(), options)
  try {
    return write(data, format, options)
  } finally {
    data.free()
  }
}

/** All numbers, in the wasm of the tools, which knows to write them. */
async function dataOf(inTools: Opened, options: TaskOptions): Promise<CoreAdapterData> {
  return (await inTools.data(options)) as CoreAdapterData
}

function write(data: CoreAdapterData, format: Format, options: SaveOptions): Saved {
  const { dtype, base, baseModel, prefix } = options
  const written = call((): Written => {
    if (format === 'peft') return data.writePeft(dtype, baseModel)
    if (format === 'lycoris') return data.writeLycoris(dtype, prefix)
    if (format !== 'gguf') {
      throw new LokahiError('BadArgument', `format: expected peft, lycoris or gguf, got ${format}`)
    }
    if (!base) throw new LokahiError('BadArgument', 'base: expected one for GGUF, got none')
    return data.writeGguf(dtype, base.core())
  })
  try {
    return { files: Object.fromEntries(written.files()), warnings: call(() => written.warnings()) }
  } finally {
    written.free()
  }
}

/** One rule, named as in kohya's tool, and a cap. */
export interface ResizeOptions extends SaveOptions {
  /** This many directions. */
  rank?: number
  /** The fewest with this share of all energy, above 0 to 1. */
  energy?: number
  /** Those above the largest divided by this. */
  svRatio?: number
  /** The fewest with this share of the Frobenius norm. */
  svFro?: number
  /** The fewest that sum to this share of the sum of all. */
  svCumulative?: number
  /** No more directions than this, whatever the rule says. */
  maxRank?: number
  /** By default PEFT for a PEFT adapter, else LyCORIS. */
  format?: Format
  /** Called after each module: how many are done, of how many. */
  onModule?: (done: number, total: number) => void
}

/** What a module lost. */
export interface ResizedModule {
  /** Path in the base model. */
  name: string
  /** Directions that are left. */
  rank: number
  /** That of the factors before. */
  rankBefore: number
  /** Share of the squared Frobenius norm that stays, 0 to 1. */
  retainedEnergy: number
  /** The largest singular value that is left out. */
  largestDropped: number
  /** Of the change before. */
  frobeniusNorm: number
  /** Its largest singular value before. */
  spectralNorm: number
}

/** A smaller adapter, and what each module lost. */
export interface Resized extends Saved {
  /** In the order of the adapter's. */
  modules: ResizedModule[]
}

/** The best LoRA of smaller rank for each module of an adapter of any method, through its factors. */
export async function resize(adapter: Adapter, options: ResizeOptions): Promise<Resized> {
  const { rank, energy, svRatio, svFro, svCumulative, maxRank, signal } = options
  if (options.base) await adapter.resolve(options.base)
  const { CoreResize } = await loadTools()
  const opened = await adapter.inTools()
  const resizing = call(
    () => new CoreResize({ rank, energy, svRatio, svFro, svCumulative, maxRank }),
  )
  try {
    const modules: ResizedModule[] = []
    for (const { name } of adapter.modules) {
      const lost = await opened.withModule(
        name,
        (core) => resizing.add(name, core as CoreAdapter),
        signal,
      )
      modules.push({ name, ...lost })
      options.onModule?.(modules.length, adapter.modules.length)
      await breathe()
      signal?.throwIfAborted()
    }
    const whole = adapter.whole.length > 0 ? await dataOf(opened, { signal }) : undefined
    const data = resizing.finish(whole)
    try {
      const format = options.format ?? (adapter.format === 'PEFT' ? 'peft' : 'lycoris')
      return { ...write(data, format, options), modules }
    } finally {
      data.free()
    }
  } finally {
    resizing.free()
  }
}

/** How to make one adapter of several. */
export interface CombineOptions extends SaveOptions {
  /**
   * `cat` is exact and takes LoRA; `svd` is the best of a rank for any methods; `linear` and `ties`
   * mix as PEFT does.
   */
  how?: 'cat' | 'svd' | 'linear' | 'ties'
  /** Of `svd`: the directions of the result. */
  rank?: number
  /** Of `ties`: the share of each tensor that stays. */
  density?: number
  /** By default PEFT where all of them are, else LyCORIS. */
  format?: Format
}

/** The weighted sum of adapters as one. */
export async function combine(
  adapters: readonly { adapter: Adapter; weight: number }[],
  options: CombineOptions = {},
): Promise<Saved> {
  const { CoreCombine } = await loadTools()
  const combining = new CoreCombine()
  try {
    for (const { adapter, weight } of adapters) {
      if (options.base) await adapter.resolve(options.base)
      const data = await dataOf(await adapter.inTools(), options)
      combining.add(data, weight)
      data.free()
    }
    const { how, rank, density } = options
    const data = call(() => combining.run({ how, rank, density }))
    try {
      const peft = adapters.every(({ adapter }) => adapter.format === 'PEFT')
      return write(data, options.format ?? (peft ? 'peft' : 'lycoris'), options)
    } finally {
      data.free()
    }
  } finally {
    combining.free()
  }
}

/** The file of a result while it is written. */
export interface Sink {
  /** Takes the next bytes; the next call waits for the promise. */
  write(bytes: Uint8Array): Promise<void>
}

/** How to merge adapters into a base. */
export interface MergeOptions extends TaskOptions {
  /** Where the embedding table is the output head too, and the adapter changes it. */
  embeddings?: 'tied' | 'untied'
}

/** So much of a tensor that stays as it is goes through memory at once. */
const PIECE = 1 << 24

/** What a merge did. */
export interface Merged {
  /** Names of the tensors that it changed. */
  changed: string[]
  /** The text of `config.json` for the result, where the base has one. */
  config: string | undefined
}

/**
 * Merges adapters into a base: the same tensors, order, dtypes and metadata, one tensor in memory at
 * a time. `open` gives the place for each file of the result, by the name of the base's.
 */
export async function merge(
  base: Base,
  adapters: readonly { adapter: Adapter; strength?: number }[],
  open: (file: string) => Promise<Sink>,
  options: MergeOptions = {},
): Promise<Merged> {
  const { CoreMerge } = await loadTools()
  const merging = new CoreMerge()
  try {
    for (const { adapter, strength = 1 } of adapters) {
      await adapter.resolve(base)
      const data = await dataOf(await adapter.inTools(), options)
      call(() => merging.add(data, strength))
      data.free()
    }
    call(() => merging.plan(base.core(), options.embeddings))
    const changed = new Set(call(() => merging.changed()))
    for (const place of base.files) {
      await mergeFile(merging, place, changed, await open(place.file.name), options)
    }
    const config = base.config && call(() => merging.config(base.config!))
    return { changed: [...changed], config }
  } finally {
    merging.free()
  }
}

async function mergeFile(
  merging: CoreMerge,
  { file, header }: BaseFile,
  changed: ReadonlySet<string>,
  sink: Sink,
  { signal, onProgress }: TaskOptions,
): Promise<void> {
  const entries: { name: string; start: number; end: number }[] = call(() => header.entries())
  const table = call(() => merging.newHead())
  const addsHead = entries.some(({ name }) => name === table)
  const start = call(() => merging.header(header, addsHead))
  await sink.write(start ?? (await file.read(0, header.dataStart)))
  const total = file.size
  for (const { name, start, end } of entries) {
    if (changed.has(name)) {
      const bytes = await file.read(start, end)
      await sink.write(call(() => merging.tensor(header, name, bytes, false)))
    } else {
      for (let at = start; at < end; at += PIECE) {
        await sink.write(await file.read(at, Math.min(end, at + PIECE)))
      }
    }
    const progress = (100 * end) / total
    onProgress?.({ status: 'download', file: file.name, loaded: end, total, progress })
    await breathe()
    signal?.throwIfAborted()
  }
  const head = entries.find(({ name }) => name === table)
  if (head) {
    const bytes = await file.read(head.start, head.end)
    await sink.write(call(() => merging.tensor(header, head.name, bytes, true)))
  }
  onProgress?.({ status: 'done', file: file.name, loaded: total, total, progress: 100 })
}

/** The file of an adapter with other texts in its metadata; no number is touched. */
export async function saveMetadata(
  adapter: Adapter,
  metadata: Readonly<Record<string, string>>,
  sink: Sink,
): Promise<void> {
  const { file } = adapter
  if (adapter.format === 'GGUF') {
    throw new LokahiError('Unsupported', `${file.name}: expected a safetensors file, got GGUF`)
  }
  const tools = await loadTools()
  const header = await readHeader(tools, file, undefined)
  try {
    await sink.write(call(() => tools.withMetadata(header, metadata)))
    for (let at = header.dataStart; at < file.size; at += PIECE) {
      await sink.write(await file.read(at, Math.min(file.size, at + PIECE)))
    }
  } finally {
    header.free()
  }
}
