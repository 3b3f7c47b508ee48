import type { TaskOptions } from './source.js'

/** How a file will be read. */
export type How =
  /** Here and there: only what is asked for is fetched. */
  | 'parts'
  /** All of it, kept in memory. */
  | 'whole'
  /** Once from start to end, after a look at its beginning. */
  | 'stream'
  /** As `stream`, and later again, without the network. */
  | 'keep'

/** A file of which any part can be read. */
export interface Bytes {
  name: string
  /** Bytes of the whole file. */
  size: number
  read(start: number, end: number): Promise<Uint8Array>
  /** The whole file in order; a piece is valid until the next is asked for, and not to be changed. */
  stream(options: TaskOptions): AsyncIterable<Uint8Array>
  /** Lets go of the connection of one that was opened to be streamed, and will not be. */
  close?(): Promise<void>
  /** Deletes what was stored of it. @internal */
  forget?(): Promise<void>
}

/** Bytes of a piece where we may choose. */
const PIECE = 1 << 22

/** A file that is here: its stream is one part behind the other. */
export function ofParts(name: string, size: number, read: Bytes['read']): Bytes {
  const stream = async function* () {
    for (let at = 0; at < size; at += PIECE) yield await read(at, Math.min(at + PIECE, size))
  }
  return { name, size, read, stream }
}

/** A file that is in memory. */
export function ofMemory(name: string, data: ArrayBuffer | Uint8Array): Bytes {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data)
  return ofParts(name, bytes.length, async (start, end) => bytes.subarray(start, end))
}

/** A file that was picked, dropped or stored: parts are read from disk when they are asked for. */
export function ofBlob(name: string, blob: Blob): Bytes {
  const read = async (start: number, end: number) =>
    new Uint8Array(await blob.slice(start, end).arrayBuffer())
  return ofParts(name, blob.size, read)
}

/** Bytes one behind the other. */
export function join(...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** Gaps up to this size are read along: a request costs more than their bytes. */
const GAP = 1 << 14

/** Reads many parts of a file, those that lie near each other at once; `ranges` as start, end, ... */
export async function readParts(
  bytes: Bytes,
  ranges: Float64Array,
  signal: AbortSignal | undefined,
  found: (start: number, part: Uint8Array) => void,
): Promise<void> {
  const sorted: [number, number][] = []
  for (let i = 0; i < ranges.length; i += 2) sorted.push([ranges[i], ranges[i + 1]])
  sorted.sort(([a], [b]) => a - b)
  const joined: [number, number][] = []
  for (const [start, end] of sorted) {
    const last = joined.at(-1)
    if (last && start - last[1] <= GAP) last[1] = Math.max(last[1], end)
    else joined.push([start, end])
  }
  // Several at once hide the time that each takes to answer.
  const queue = joined.values()
  const work = async () => {
    for (const [start, end] of queue) {
      signal?.throwIfAborted()
      found(start, await bytes.read(start, end))
    }
  }
  await Promise.all(Array.from({ length: 8 }, work))
}
