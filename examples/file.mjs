// What is in an adapter file, and the same adapter in another format, in Node:
//   node examples/file.mjs [FILE|FOLDER] [peft|lycoris|gguf] [OUT]
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Adapter, init } from 'lokahi'

const [source = './www/public/places/adapters/fi-lokr', format, out] = process.argv.slice(2)

await init() // in Node always the CPU

// A string that begins with / or ./ is a path; only the header is read here.
const adapter = await Adapter.load(/^(\/|\.)/.test(source) ? source : `./${source}`)
const { methods, modules, parameters, bytes, warnings } = adapter.inspect()
console.log(`${adapter.format}, ${methods.join(' and ')}: ${modules.length} weights are changed`)
console.log(`${parameters} numbers in ${bytes} bytes`)
for (const { code, message } of warnings) console.log(`${code}: ${message}`)

// Numbers are read when they are asked for: the ranks of each change, through the factors.
for (const { name, shape, rank, rankBound } of modules.slice(0, 3)) {
  const { numericalRank, stableRank, spectralNorm } = await adapter.spectrum(name)
  console.log(
    `${name} [${shape.join(', ')}]: rank ${rank} of the factors, ${numericalRank} of at most ` +
      `${rankBound} in the change, stable rank ${stableRank.toFixed(1)}, norm ${spectralNorm.toFixed(3)}`,
  )
}

if (format) {
  // What a format cannot hold exactly is an error with a code, never a file that differs.
  const { files, warnings } = await adapter.save(format)
  for (const { code, message } of warnings) console.log(`${code}: ${message}`)
  await mkdir(out ?? '.', { recursive: true })
  for (const [name, content] of Object.entries(files)) {
    const path = join(out ?? '.', name)
    // 'wx': nothing is written over.
    await writeFile(path, content, { flag: 'wx' })
    console.log(`${path}: ${content.length} bytes`)
  }
}

adapter.dispose()
