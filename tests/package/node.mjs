// The consumer that is no page: a project for Node.
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agrees, install, places, tarball, tell } from './consumers.mjs'

/** Installs the tarball outside of this project, where nothing else can be found by chance. */
export function inNode(use) {
  const folder = mkdtempSync(join(tmpdir(), 'lokahi-'))
  try {
    install(tarball().path, folder)
    for (const file of ['golden.js', 'node/main.js']) {
      cpSync(new URL(`./consumers/${file}`, import.meta.url), join(folder, file.split('/').at(-1)))
    }
    places(folder)
    use(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The module tells what is right there, by a Node of any version. */
export function agreesIn(node, folder) {
  const { backend, ...told } = JSON.parse(tell(node, ['main.js'], folder).stdout)
  assert.equal(backend, 'cpu')
  agrees(told)
}
