/** What can be opened: files that were picked or dropped, an address, the page's own adapters. */

import type { Source } from 'lokahi'

export interface Chosen {
  source: Source
  /** What it is called here. */
  name: string
  /** How a program would name it: a path on disk, or an address. */
  path: string
  /** An address is no path for the command. */
  remote: boolean
  /** The base model, where the page has it. */
  base?: string
}

/** A file and where it was in what was picked or dropped. */
export interface Found {
  file: File
  folder: string
}

const WEIGHTS = /\.(safetensors|gguf)$/i
const CONFIG = 'adapter_config.json'
const PEFT = 'adapter_model.safetensors'
/** Of a dropped folder; more is a mistake of the hand. */
const MOST_FILES = 2000

/** The adapters among files: each folder that PEFT wrote, and each other file of weights. */
export function adaptersIn(found: readonly Found[]): Chosen[] {
  const folders = new Map<string, File[]>()
  for (const { file, folder } of found) folders.set(folder, [...(folders.get(folder) ?? []), file])
  return [...folders].flatMap(([folder, files]) => {
    const at = (name: string) => files.find((file) => file.name === name)
    const [config, weights] = [at(CONFIG), at(PEFT)]
    const chosen: Chosen[] = []
    if (config && weights) {
      const name = folder || PEFT
      chosen.push({ source: [config, weights], name, path: `./${folder}`, remote: false })
    }
    for (const file of files) {
      if (!WEIGHTS.test(file.name) || (config && file === weights)) continue
      const path = folder ? `${folder}/${file.name}` : file.name
      chosen.push({ source: file, name: path, path: `./${path}`, remote: false })
    }
    return chosen
  })
}

/** Files of an input, with the folders of one that takes a folder. */
export const ofInput = (files: FileList | null): Found[] =>
  [...(files ?? [])].map((file) => ({
    file,
    folder: file.webkitRelativePath.split('/').slice(0, -1).join('/'),
  }))

/** Dropped files, and those in dropped folders. The items must be asked for at once. */
export async function ofDrop(data: DataTransfer): Promise<Found[]> {
  const entries = [...data.items].flatMap((item) => item.webkitGetAsEntry?.() ?? [])
  if (!entries.some((entry) => entry.isDirectory))
    return [...data.files].map((file) => ({ file, folder: '' }))
  const found: Found[] = []
  const walk = async (entry: FileSystemEntry, folder: string): Promise<void> => {
    if (found.length >= MOST_FILES) return
    if (entry.isFile) {
      const file = await new Promise<File>((done, failed) =>
        (entry as FileSystemFileEntry).file(done, failed),
      )
      found.push({ file, folder })
    } else {
      const reader = (entry as FileSystemDirectoryEntry).createReader()
      const inner = folder ? `${folder}/${entry.name}` : entry.name
      for (;;) {
        const some = await new Promise<FileSystemEntry[]>((done, failed) =>
          reader.readEntries(done, failed),
        )
        if (some.length === 0) return
        for (const each of some) await walk(each, inner)
      }
    }
  }
  for (const entry of entries) await walk(entry, '')
  return found
}

/** The files of a base model, as `Base.load` takes them. */
export const baseIn = (found: readonly Found[]): File[] =>
  found.map(({ file }) => file).filter(({ name }) => /\.(safetensors|json)$/i.test(name))

const HUB = 'huggingface.co'
const HUB_ID = /^[\w.-]+\/[\w.-]+(@[\w./-]+)?$/

export type Reach =
  | { to: 'nowhere' }
  | { to: 'here' | 'hub'; host: string }
  /** The page's policy names this page's host and the Hub, and no other. */
  | { to: 'elsewhere'; host: string }

/** Where a request for an address would go, without making it. */
export function reach(address: string): Reach {
  const text = address.trim()
  if (text === '') return { to: 'nowhere' }
  if (HUB_ID.test(text) && !/^\.\.?\//.test(text) && !WEIGHTS.test(text))
    return { to: 'hub', host: HUB }
  let url: URL
  try {
    url = new URL(text, document.baseURI)
  } catch {
    return { to: 'nowhere' }
  }
  if (url.origin === location.origin) return { to: 'here', host: url.host }
  const hub = url.hostname === HUB || /\.(huggingface\.co|hf\.co)$/.test(url.hostname)
  if (url.protocol === 'https:' && hub) return { to: 'hub', host: url.host }
  return { to: 'elsewhere', host: url.host || url.protocol }
}

/** A page of the Hub, as people copy it, leads to its files. */
export function ofAddress(address: string): Chosen {
  const text = address.trim()
  const page = /^https:\/\/huggingface\.co\/([\w.-]+\/[\w.-]+)(?:\/tree\/([\w.-]+))?\/?$/.exec(text)
  const source = page
    ? page[2]
      ? `${page[1]}@${page[2]}`
      : page[1]!
    : text.replace(/^(https:\/\/huggingface\.co\/.+)\/blob\//, '$1/resolve/')
  return { source, name: source, path: source, remote: true }
}

export const EXAMPLES = [
  { id: 'fi-lora', country: 'fi', method: 'lora', folder: 'places/adapters/fi-lora' },
  { id: 'it-loha', country: 'it', method: 'loha', folder: 'places/adapters/it-loha' },
  { id: 'kr-lokr', country: 'kr', method: 'lokr', folder: 'places/adapters/kr-lokr' },
  { id: 'smollm2-lora', country: null, method: 'lora', folder: 'smollm2/lora' },
  { id: 'smollm2-loha', country: null, method: 'loha', folder: 'smollm2/loha' },
  { id: 'smollm2-lokr', country: null, method: 'lokr', folder: 'smollm2/lokr' },
] as const

export type Example = (typeof EXAMPLES)[number]

export const ofExample = ({ id, country, folder }: Example): Chosen => ({
  source: new URL(`./${folder}/`, document.baseURI).href,
  name: id,
  path: `./www/public/${folder}`,
  remote: false,
  base: country ? new URL('./places/base/', document.baseURI).href : undefined,
})
