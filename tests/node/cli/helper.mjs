// What the tests of the command share: running it, and safetensors files read and written here.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const places = (name) => `./www/public/places/${name}`
export const fixture = (name) => `./tests/fixtures/adapters/${name}`

/** Where a case keeps its adapter: PEFT's is a folder. */
export const adapterOf = (name) =>
  name.startsWith('peft') ? fixture(name) : `${fixture(name)}/adapter.safetensors`

/** Runs the command; `code` is its exit status. */
export function lokahi(...args) {
  return new Promise((resolve) => {
    const options = { maxBuffer: 1 << 26 }
    execFile(process.execPath, ['dist/cli.js', ...args], options, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    )
  })
}

/** Runs it; anything but success is an error. */
export async function works(...args) {
  const { code, stdout, stderr } = await lokahi(...args)
  assert.equal(code, 0, `lokahi ${args.join(' ')}: ${stderr}`)
  return { stdout, stderr }
}

/** Runs it; it must fail with this status and words. */
export async function fails(code, words, ...args) {
  const run = await lokahi(...args)
  assert.equal(run.code, code, `lokahi ${args.join(' ')}: ${run.stdout}${run.stderr}`)
  assert.match(run.stderr, words)
}

/** A folder for one test. */
export async function scratch(t) {
  const folder = await mkdtemp(join(tmpdir(), 'lokahi-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return (name) => join(folder, name)
}

const SIZES = { F32: 4, F16: 2, BF16: 2 }

/** The head of a file byte for byte, its metadata, and its tensors in order. */
export function read(path) {
  const bytes = readFileSync(path)
  const end = 8 + Number(bytes.readBigUInt64LE(0))
  const { __metadata__: metadata = {}, ...entries } = JSON.parse(bytes.subarray(8, end))
  const tensors = {}
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(entries)) {
    const data = bytes.subarray(end + data_offsets[0], end + data_offsets[1])
    tensors[name] = { dtype, shape, data, values: decode(dtype, data) }
  }
  return { head: bytes.subarray(0, end), metadata, tensors }
}

/** Writes tensors of `{ dtype, shape, data }` or `{ dtype, shape, values }`. */
export function write(path, tensors, metadata = {}) {
  const parts = []
  const head = headOf(
    Object.entries(tensors).map(([name, { dtype, shape, data, values }]) => {
      parts.push(data ?? encode(dtype, values))
      return [name, dtype, shape]
    }),
    metadata,
  )
  writeFileSync(path, Buffer.concat([head, ...parts]))
}

/** A file of zeros that takes no room on the disk; `entries` of name, dtype, shape. */
export function writeSparse(path, entries, metadata = {}) {
  const head = headOf(entries, metadata)
  const file = openSync(path, 'w')
  writeSync(file, head)
  const size = head.length + entries.reduce((sum, entry) => sum + bytesOf(entry), 0)
  ftruncateSync(file, size)
  closeSync(file)
  return size
}

const bytesOf = ([, dtype, shape]) => shape.reduce((a, b) => a * b, 1) * SIZES[dtype]

function headOf(entries, metadata) {
  let at = 0
  const header = { __metadata__: metadata }
  for (const entry of entries) {
    const [name, dtype, shape] = entry
    header[name] = { dtype, shape, data_offsets: [at, (at += bytesOf(entry))] }
  }
  const text = Buffer.from(JSON.stringify(header))
  const head = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, ' ')
  head.writeBigUInt64LE(BigInt(head.length - 8))
  text.copy(head, 8)
  return head
}

function decode(dtype, data) {
  if (!SIZES[dtype]) return undefined
  const copy = new Uint8Array(data).buffer
  if (dtype === 'F32') return Float64Array.from(new Float32Array(copy))
  const bits = new Uint16Array(copy)
  if (dtype === 'BF16') {
    return Float64Array.from(new Float32Array(Uint32Array.from(bits, (b) => b << 16).buffer))
  }
  return Float64Array.from(bits, (b) => {
    const [exponent, fraction] = [(b >> 10) & 31, b & 1023]
    const size = exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24
    return b >> 15 ? -size : size
  })
}

export function encode(dtype, values) {
  if (dtype === 'F32') return Buffer.from(Float32Array.from(values).buffer)
  const [digits, least, bias, width] = dtype === 'F16' ? [10, -14, 15, 10] : [7, -126, 127, 7]
  const bits = Uint16Array.from(values, (value) => {
    const size = Math.abs(value)
    const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
    const exponent = Math.max(least, size === 0 ? least : Math.floor(Math.log2(size)))
    const steps = even(size / 2 ** (exponent - digits))
    // A fraction that rounds up to the next power of two carries into the exponent.
    return sign | (((exponent + bias - 1) << width) + steps)
  })
  return Buffer.from(bits.buffer)
}

/** To the nearest whole number, of two the even one. */
function even(value) {
  const floor = Math.floor(value)
  const over = value - floor
  return over > 0.5 || (over === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}

/** `scale * up @ down` in f64, of tensors of two dimensions. */
export function product(up, down, scale) {
  const [out, rank] = up.shape
  const inputs = down.shape[1]
  const delta = new Float64Array(out * inputs)
  for (let o = 0; o < out; o++) {
    for (let r = 0; r < rank; r++) {
      const factor = scale * up.values[o * rank + r]
      for (let i = 0; i < inputs; i++) delta[o * inputs + i] += factor * down.values[r * inputs + i]
    }
  }
  return delta
}

/** Equal within `tolerance` of the largest magnitude. */
export function close(got, wanted, tolerance, what) {
  assert.equal(got.length, wanted.length, what)
  let [largest, worst] = [0, 0]
  for (let i = 0; i < wanted.length; i++) {
    largest = Math.max(largest, Math.abs(wanted[i]))
    worst = Math.max(worst, Math.abs(got[i] - wanted[i]))
  }
  assert.ok(worst <= tolerance * largest, `${what}: ${worst} of ${largest}`)
}
