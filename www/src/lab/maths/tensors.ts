/** Numbers of a safetensors file: the few types that adapters are stored in. */

import type { Matrix } from './matrix'

interface Entry {
  dtype: string
  shape: number[]
  data_offsets: [number, number]
}

export function readTensors(file: ArrayBuffer, names: readonly string[]): Map<string, Matrix> {
  const view = new DataView(file)
  const length = Number(view.getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length))) as Record<
    string,
    Entry
  >
  const found = new Map<string, Matrix>()
  for (const name of names) {
    const entry = header[name]
    if (!entry) throw new Error(`${name} is not in the file`)
    const [rows = 1, cols = 1] = entry.shape
    const start = 8 + length + entry.data_offsets[0]
    const read = READERS[entry.dtype]
    if (!read) throw new Error(`${name} is stored as ${entry.dtype}; F32, F16 and BF16 are read`)
    const data = Float64Array.from({ length: rows * cols }, (_, i) => read(view, start, i))
    found.set(name, { rows, cols, data })
  }
  return found
}

const READERS: Record<string, (view: DataView, start: number, i: number) => number> = {
  F32: (view, start, i) => view.getFloat32(start + 4 * i, true),
  F16: (view, start, i) => half(view.getUint16(start + 2 * i, true)),
  BF16: (view, start, i) => {
    const wide = new DataView(new ArrayBuffer(4))
    wide.setUint16(0, view.getUint16(start + 2 * i, true))
    return wide.getFloat32(0)
  },
}

export function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -24 * fraction
}
