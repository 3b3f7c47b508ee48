// Loads what Lokahi writes in the real PEFT and LyCORIS: adapters from the writers, conversions and
// resizings of the command. Needs a built package and a Python with torch, peft and lycoris-lora:
//   pip install torch 'peft==0.21.*' 'lycoris-lora==4.1.*'
//   npm run interop        (LOKAHI_PYTHON names another Python than python3)
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { ask, fail, root, run } from './tools.mjs'

const cases = join(root, 'tests/fixtures/adapters')
const folder = join(root, 'target/tmp/interop')

/** The command, which must succeed. */
const lokahi = (...args) => run(process.execPath, [join(root, 'dist/cli.js'), ...args, '--force'])

/** A folder for one result, with the base and the numbers that the library gave for its own file. */
function place(name, of) {
  const at = join(folder, name)
  rmSync(at, { recursive: true, force: true })
  mkdirSync(at, { recursive: true })
  for (const file of ['base.safetensors', 'expected.safetensors']) {
    cpSync(join(cases, of, file), join(at, file))
  }
  return at
}

function interop() {
  const python = process.env.LOKAHI_PYTHON ?? 'python3'
  if (!ask(python, '-c', 'import torch, peft, lycoris; print("here")')) {
    throw new Error(
      `${python} lacks a library: pip install torch 'peft==0.21.*' 'lycoris-lora==4.1.*'; ` +
        'LOKAHI_PYTHON names another Python',
    )
  }
  rmSync(folder, { recursive: true, force: true })
  run('cargo', ['test', '--test', 'native', 'files_for_interop', '--', '--ignored'])

  for (const name of readdirSync(cases)) {
    const base = join(cases, name, 'base.safetensors')
    const single = join(cases, name, 'adapter.safetensors')
    if (existsSync(single)) {
      // PEFT has no DoRA of LoHa, and no factor that splits both sides as that LoKr does.
      if (!['lycoris-loha-dora', 'lycoris-lokr-both'].includes(name)) {
        const at = place(`converted-${name}`, name)
        lokahi('convert', single, '--to', 'peft', '--base', base, '-o', join(at, 'peft'))
      }
      const at = place(`rewritten-${name}`, name)
      const out = join(at, 'lycoris.safetensors')
      lokahi('convert', single, '--to', 'lycoris', '--base', base, '-o', out)
    } else if (/^peft-(lora|loha|lokr)$|factor|both|rslora/.test(name)) {
      // At a rank that no module reaches, nothing is lost and every method is a LoRA.
      const at = place(`resized-${name}`, name)
      lokahi('resize', join(cases, name), '--rank', '999', '-o', join(at, 'peft'))
    }
  }
  run(python, [join(root, 'scripts/interop.py'), folder])
}

try {
  interop()
} catch (error) {
  fail(error)
}
