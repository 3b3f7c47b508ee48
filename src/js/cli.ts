#!/usr/bin/env node
/** The command `lokahi`: adapter files on the command line, on the same wasm. */
import {
  copyFile,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join, resolve as absolute } from 'node:path'
import { parseArgs, type ParseArgsConfig } from 'node:util'

import {
  Adapter,
  Base,
  LokahiError,
  combine,
  init,
  merge,
  saveMetadata,
  type AdapterOptions,
  type Files,
  type Finding,
  type Format,
  type Inspection,
  type ResizedModule,
  type Sink,
  type Spectrum,
} from './node.js'

const USAGE = `lokahi: LoRA, LoHa and LoKr adapter files

  lokahi inspect FILE|DIR [--json] [--measure]
  lokahi merge BASE ADAPTER... -o OUT [--strength S]... [--embeddings tied|untied]
  lokahi convert ADAPTER --to peft|lycoris|gguf -o OUT [--base FILE|DIR] [--rank R]
  lokahi resize ADAPTER --rank R | --energy E | --sv-ratio Q | --sv-fro F | --sv-cumulative C -o OUT
  lokahi metadata FILE [--set KEY=VALUE]... [--remove KEY]... [-o OUT]
  lokahi combine A:0.7 B:0.3 -o OUT [--how cat|svd|linear|ties] [--rank R] [--density D]

  BASE       a safetensors file, or a folder of them with their config.json
  ADAPTER    a PEFT folder, or a file of kohya, LyCORIS, diffusers or llama.cpp
  -o OUT     what is written; it must not be there yet, unless --force is given

  --base FILE|DIR        names modules by the base model, and checks their shapes
  --component PREFIX     only modules whose names begin so, such as lora_unet_
  --dtype F32|F16|BF16   how factors are stored where it holds them exactly
  --to FORMAT            the format of the result; else that of the adapter
  --prefix PREFIX        LyCORIS: what names begin with, such as lora_unet
  --alpha A, --whole-lokr-rank R, --dora-axis out|in
                         what kohya and LyCORIS files leave open; see the warnings
  --max-rank R           with a rule of resize: at most this rank
  --subfolder NAME       the adapter's name, where a folder holds several
`

const OPTIONS = {
  alpha: { type: 'string' },
  base: { type: 'string' },
  component: { type: 'string' },
  density: { type: 'string' },
  'dora-axis': { type: 'string' },
  dtype: { type: 'string' },
  embeddings: { type: 'string' },
  energy: { type: 'string' },
  force: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  how: { type: 'string' },
  json: { type: 'boolean' },
  'max-rank': { type: 'string' },
  measure: { type: 'boolean' },
  output: { type: 'string', short: 'o' },
  prefix: { type: 'string' },
  rank: { type: 'string' },
  remove: { type: 'string', multiple: true },
  set: { type: 'string', multiple: true },
  strength: { type: 'string', multiple: true },
  subfolder: { type: 'string' },
  'sv-cumulative': { type: 'string' },
  'sv-fro': { type: 'string' },
  'sv-ratio': { type: 'string' },
  to: { type: 'string' },
  'whole-lokr-rank': { type: 'string' },
} as const satisfies ParseArgsConfig['options']

type Options = ReturnType<typeof parse>['values']

function parse(args: string[]) {
  // Negative strengths look like options: Node wants them joined, `--strength=-1`.
  return parseArgs({ args, options: OPTIONS, allowPositionals: true })
}

const commands: Record<string, (inputs: string[], options: Options) => Promise<void>> = {
  inspect,
  merge: mergeInto,
  convert,
  resize,
  metadata,
  combine: combineAll,
}

async function inspect(inputs: string[], options: Options): Promise<void> {
  const adapter = await openAdapter(one(inputs, 'FILE|DIR'), options)
  const measured = options.measure ? await measures(adapter) : undefined
  const report: Inspection & { measures?: Measured[] } = adapter.inspect()
  if (measured) report.measures = measured
  if (options.json) {
    printJson(report)
    return
  }
  const { format, methods, modules, whole, parameters, bytes, warnings } = report
  console.log(`${format}, ${methods.join(', ') || 'no factors'}`)
  console.log(
    `${grouped(modules.length)} modules, ${grouped(parameters)} numbers, ${grouped(bytes)} bytes`,
  )
  const rows = modules.map((m) => [
    shown(m.name),
    m.method + (m.dora ? ' DoRA' : ''),
    m.shape.join(' x '),
    `r ${m.rank}`,
    `alpha ${short(m.alpha)}`,
    `scale ${short(m.scale)}`,
    grouped(m.parameters),
    `rank <= ${m.rankBound}`,
    m.dtype,
  ])
  if (rows.length > 0) table(rows)
  for (const { name, shape, dtype } of whole) {
    console.log(`replaces ${shown(name)}  ${shape.join(' x ')}  ${dtype}`)
  }
  for (const { name, findings, ...m } of measured ?? []) {
    for (const { code, tensor, count } of findings) {
      console.log(`${code} ${count} in ${shown(tensor)} of ${shown(name)}`)
    }
    if (m.spectralNorm === undefined) continue
    const [norms, ranks] = [
      [m.frobeniusNorm, m.spectralNorm].map((n) => short(n!)).join(', '),
      [m.numericalRank, m.stableRank, m.entropyRank].map((r) => short(r!)).join(', '),
    ]
    console.log(
      `${shown(name)}  |dW|_F, sigma_1: ${norms}  rank numerical, stable, entropy: ${ranks}`,
    )
  }
  const texts = Object.entries(report.metadata)
  if (texts.length > 0) console.log(`\n${texts.length} texts of metadata: lokahi metadata`)
  warn(warnings)
}

interface Measured extends Partial<Spectrum> {
  name: string
  findings: Finding[]
}

/** Norms, ranks and findings of every module. */
async function measures(adapter: Adapter): Promise<Measured[]> {
  const all: Measured[] = []
  for (const { name } of adapter.modules) {
    progress('measuring', all.length, adapter.modules.length)
    const findings = await adapter.findings(name)
    const broken = findings.some(({ code }) => code === 'NotANumber' || code === 'Infinite')
    const spectrum = broken ? undefined : await adapter.spectrum(name)
    all.push({ name, findings, ...spectrum })
  }
  progress('measuring', 1, 1)
  return all
}

async function mergeInto(inputs: string[], options: Options): Promise<void> {
  const [path, ...paths] = inputs
  if (path === undefined || paths.length === 0) throw usage('BASE and at least one ADAPTER')
  const embeddings = choice(options.embeddings, '--embeddings', ['tied', 'untied'] as const)
  const strengths = (options.strength ?? []).map((s) => number(s, '--strength'))
  if (strengths.length > 1 && strengths.length !== paths.length) {
    throw usage(`one --strength, or one for each of ${paths.length} adapters`)
  }
  const base = await Base.load(asPath(path))
  const adapters: { adapter: Adapter; strength: number }[] = []
  for (const [index, path] of paths.entries()) {
    const adapter = await openAdapter(path, options)
    warn(adapter.warnings)
    adapters.push({ adapter, strength: strengths[index] ?? strengths[0] ?? 1 })
  }
  const folder = (await stat(path)).isDirectory()
  await writeOutput(options, [path, ...paths], async (out) => {
    if (folder) await mkdir(out)
    const onProgress = ({ loaded, total }: { loaded: number; total: number }) =>
      progress('merging', loaded, total)
    const sinks: { close(): Promise<void> }[] = []
    const open = async (name: string) => {
      const sink = await fileSink(folder ? join(out, name) : out)
      sinks.push(sink)
      return sink
    }
    try {
      const { changed, config } = await merge(base, adapters, open, { embeddings, onProgress })
      if (folder) await copyRest(path, out, config)
      else if (config) throw new LokahiError('BadArgument', 'the config changes: give a folder')
      console.log(`${changed.length} tensors changed`)
    } finally {
      for (const sink of sinks) await sink.close()
    }
  })
}

/** Everything of a base's folder that holds no weights, with its config as it must be now. */
async function copyRest(from: string, to: string, config: string | undefined): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const { name } = entry
    if (!entry.isFile() || name.endsWith('.safetensors')) continue
    if (name === 'config.json' && config) await writeFile(join(to, name), config)
    else await copyFile(join(from, name), join(to, name))
  }
}

async function convert(inputs: string[], options: Options): Promise<void> {
  const path = one(inputs, 'ADAPTER')
  const to = format(options.to)
  if (!to) throw usage('--to peft, lycoris or gguf')
  const adapter = await openAdapter(path, options)
  warn(adapter.warnings)
  const common = await saving(options)
  if (options.rank === undefined) {
    const { files, warnings } = await adapter.save(to, common)
    await writeFiles(files, options, [path])
    warn(warnings)
    return
  }
  const rank = number(options.rank, '--rank')
  const { files, warnings, modules } = await adapter.resize({ ...common, rank, format: to })
  await writeFiles(files, options, [path])
  warn(warnings)
  report(modules)
}

async function resize(inputs: string[], options: Options): Promise<void> {
  const path = one(inputs, 'ADAPTER')
  const adapter = await openAdapter(path, options)
  warn(adapter.warnings)
  const { files, warnings, modules } = await adapter.resize({
    ...(await saving(options)),
    rank: optional(options.rank, '--rank'),
    energy: optional(options.energy, '--energy'),
    svRatio: optional(options['sv-ratio'], '--sv-ratio'),
    svFro: optional(options['sv-fro'], '--sv-fro'),
    svCumulative: optional(options['sv-cumulative'], '--sv-cumulative'),
    maxRank: optional(options['max-rank'], '--max-rank'),
    format: format(options.to),
    onModule: (done, total) => progress('resizing', done, total),
  })
  await writeFiles(files, options, [path])
  warn(warnings)
  if (options.json) printJson(modules)
  else report(modules)
}

function report(modules: readonly ResizedModule[]): void {
  table(
    modules.map((m) => [
      shown(m.name),
      `rank ${m.rankBefore} -> ${m.rank}`,
      `energy ${(100 * m.retainedEnergy).toFixed(2)} %`,
      `dropped <= ${short(m.largestDropped)}`,
    ]),
  )
}

async function metadata(inputs: string[], options: Options): Promise<void> {
  const path = one(inputs, 'FILE')
  const adapter = await openAdapter(path, options)
  const texts: Record<string, string> = { ...adapter.metadata }
  for (const key of options.remove ?? []) {
    if (!Object.hasOwn(texts, key)) throw usage(`--remove of a key that is there, not ${key}`)
    delete texts[key]
  }
  for (const pair of options.set ?? []) {
    const at = pair.indexOf('=')
    if (at < 1) throw usage(`--set KEY=VALUE, not ${pair}`)
    texts[pair.slice(0, at)] = pair.slice(at + 1)
  }
  if (options.output === undefined) {
    if (options.set || options.remove) throw usage('-o OUT')
    if (options.json) printJson(texts)
    else showMetadata(texts)
    return
  }
  await writeOutput(options, [path], async (out) => {
    const sink = await fileSink(out)
    try {
      await saveMetadata(adapter, texts, sink)
    } finally {
      await sink.close()
    }
  })
}

/** Texts by key; the tags of kohya's trainers, which are JSON by folder, by how often they come. */
function showMetadata(texts: Record<string, string>): void {
  for (const [key, text] of Object.entries(texts).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const tags = key === 'ss_tag_frequency' ? tagCounts(text) : undefined
    if (!tags) {
      console.log(`${shown(key)}: ${shownLines(text)}`)
      continue
    }
    console.log(`${key}: ${tags.length} tags`)
    for (const [tag, count] of tags.slice(0, 50)) {
      console.log(`  ${String(count).padStart(6)}  ${shown(tag)}`)
    }
    if (tags.length > 50) console.log(`  and ${tags.length - 50} more: --json`)
  }
}

function tagCounts(text: string): [string, number][] | undefined {
  try {
    const counts = new Map<string, number>()
    for (const folder of Object.values(JSON.parse(text)) as Record<string, number>[]) {
      for (const [tag, count] of Object.entries(folder)) {
        counts.set(tag.trim(), (counts.get(tag.trim()) ?? 0) + Number(count))
      }
    }
    return [...counts].sort(([, a], [, b]) => b - a)
  } catch {
    return undefined
  }
}

async function combineAll(inputs: string[], options: Options): Promise<void> {
  if (inputs.length === 0) throw usage('at least one ADAPTER:WEIGHT')
  const adapters: { adapter: Adapter; weight: number }[] = []
  const paths: string[] = []
  for (const input of inputs) {
    const [, path = input, weight = '1'] = /^(.*):([-+.\de]+)$/i.exec(input) ?? []
    paths.push(path)
    const adapter = await openAdapter(path, options)
    warn(adapter.warnings)
    adapters.push({ adapter, weight: number(weight, `weight of ${path}`) })
  }
  const { files, warnings } = await combine(adapters, {
    ...(await saving(options)),
    how: choice(options.how, '--how', ['cat', 'svd', 'linear', 'ties'] as const),
    rank: optional(options.rank, '--rank'),
    density: optional(options.density, '--density'),
    format: format(options.to),
  })
  await writeFiles(files, options, paths)
  warn(warnings)
}

async function openAdapter(path: string, options: Options): Promise<Adapter> {
  const conventions: AdapterOptions['conventions'] = {
    alpha: optional(options.alpha, '--alpha'),
    wholeLokrRank: optional(options['whole-lokr-rank'], '--whole-lokr-rank'),
    doraAxis: choice(options['dora-axis'], '--dora-axis', ['out', 'in'] as const),
  }
  const { subfolder, component } = options
  const adapter = await Adapter.load(asPath(path), { conventions, subfolder })
  if (component !== undefined) {
    const out = await adapter.retain(component)
    if (out > 0) console.error(`left out ${out} modules that do not begin with ${component}`)
  }
  return adapter
}

async function saving(options: Options) {
  const base = options.base === undefined ? undefined : await Base.load(asPath(options.base))
  const dtype = choice(options.dtype, '--dtype', ['F32', 'F16', 'BF16'] as const)
  return { base, dtype, prefix: options.prefix, onProgress: undefined }
}

/** Paths on the command line need no `./`. */
function asPath(path: string): string {
  return absolute(path)
}

/** One file under the name of `out`, several in a folder of that name. */
async function writeFiles(files: Files, options: Options, inputs: string[]): Promise<void> {
  await writeOutput(options, inputs, async (out) => {
    const all = Object.entries(files)
    const [only] = all
    if (all.length === 1 && only) return writeFile(out, only[1])
    await mkdir(out)
    for (const [name, bytes] of all) await writeFile(join(out, name), bytes)
  })
}

/**
 * Writes beside the output and renames at the end: a failed run leaves nothing. An input or a base is
 * never written over, and its folder takes no output.
 */
async function writeOutput(
  { output, force, base }: Options,
  inputs: string[],
  write: (path: string) => Promise<void>,
): Promise<void> {
  if (output === undefined) throw usage('-o OUT')
  const out = absolute(output)
  const real = await realpath(out).catch(() => undefined)
  const place = real ?? join(await realpath(dirname(out)), basename(out))
  const inside = (a: string, b: string) => a === b || a.startsWith(b.replace(/\/?$/, '/'))
  for (const input of base === undefined ? inputs : [...inputs, base]) {
    const path = await realpath(input)
    if (inside(path, place) || inside(place, path)) {
      throw usage(`an output beside ${input}, not over it or in it`)
    }
  }
  if (real !== undefined && !force) throw usage(`--force, as ${output} is there already`)
  const temporary = join(dirname(out), `.${basename(out)}.${process.pid}`)
  try {
    await write(temporary)
    if (real !== undefined) await rm(out, { recursive: true })
    await rename(temporary, out)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    throw error
  }
}

async function fileSink(path: string): Promise<Sink & { close(): Promise<void> }> {
  const file = await open(path, 'wx')
  return {
    async write(bytes) {
      for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten
    },
    close: () => file.close(),
  }
}

function one(inputs: string[], name: string): string {
  const [input, another] = inputs
  if (input === undefined || another !== undefined) throw usage(`one ${name}`)
  return input
}

function number(text: string, name: string): number {
  const value = text.trim() === '' ? NaN : Number(text)
  if (!Number.isFinite(value)) throw usage(`a number for ${name}, not ${text}`)
  return value
}

function optional(text: string | undefined, name: string): number | undefined {
  return text === undefined ? undefined : number(text, name)
}

function choice<T extends string>(
  text: string | undefined,
  name: string,
  values: readonly T[],
): T | undefined {
  if (text === undefined || (values as readonly string[]).includes(text)) return text as T
  throw usage(`${values.join(' or ')} for ${name}, not ${text}`)
}

function format(text: string | undefined): Format | undefined {
  return choice(text, '--to', ['peft', 'lycoris', 'gguf'] as const)
}

class Usage extends Error {}

function usage(expected: string): Usage {
  return new Usage(`expected ${expected}`)
}

/**
 * Texts of files may hold what a terminal would obey, and what turns the order of letters around; a name
 * may not even begin a line of its own.
 */
function shown(text: string): string {
  return text.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '?')
}

/** The same where a text has lines and is the last of what is said. */
function shownLines(text: string): string {
  return text.split('\n').map(shown).join('\n')
}

/** JSON leaves some of them as they are. */
function printJson(value: unknown): void {
  const text = JSON.stringify(value, null, 2)
  console.log(
    text.replace(
      /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
      (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  )
}

function short(value: number): string {
  return Number(value.toPrecision(4)).toString()
}

function grouped(value: number): string {
  return value.toLocaleString('en').replaceAll(',', ' ')
}

function table(rows: string[][]): void {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  for (const row of rows) {
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
  }
}

function warn(warnings: readonly { code: string; message: string }[]): void {
  for (const { code, message } of warnings) console.error(`warning ${code}: ${shown(message)}`)
}

/** One line that is written over, where somebody looks. */
function progress(what: string, done: number, total: number): void {
  if (!process.stderr.isTTY) return
  process.stderr.write(
    done < total ? `\r${what} ${Math.floor((100 * done) / total)} %` : '\r\x1b[K',
  )
}

async function main(): Promise<number> {
  try {
    const { values, positionals } = parse(process.argv.slice(2))
    const [name, ...inputs] = positionals
    if (values.help || name === undefined) {
      console.log(USAGE)
      return values.help ? 0 : 2
    }
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (!command) throw usage(`${Object.keys(commands).join(', ')}, not ${name}`)
    await init({ device: 'cpu' })
    await command(inputs, values)
    return 0
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    const isUsage = error instanceof Usage || code?.startsWith('ERR_PARSE_ARGS')
    console.error(
      isUsage
        ? `lokahi: ${shownLines(message)}; see lokahi --help`
        : `lokahi: ${code ?? 'error'}: ${shownLines(message)}`,
    )
    return isUsage ? 2 : 1
  }
}

process.exitCode = await main()
