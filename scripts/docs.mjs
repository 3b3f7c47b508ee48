// The references, beside the page: the package's from its types (www/dist/api), the crate's from its
// comments (www/dist/rust). A public name without a comment, and a link to nowhere, are errors.
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fail, isMain, root, run, runPackage, targetFolder } from './tools.mjs'

export function docs() {
  const api = join(root, 'www/dist/api')
  runPackage('typedoc', ['--out', api])
  for (const name of readdirSync(api, { recursive: true })) {
    if (name.endsWith('.html')) strict(api, join(api, name))
  }
  run('cargo', ['doc', '--no-deps', '--lib'], { RUSTDOCFLAGS: '-D warnings' })
  const rust = join(root, 'www/dist/rust')
  rmSync(rust, { recursive: true, force: true })
  cpSync(join(targetFolder(), 'doc'), rust, { recursive: true })
}

/** As strict to scripts as our own page; its search reads data inside of them, its pages have styles. */
const policy =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'"

/** Moves the one script that TypeDoc writes into a page to a file, and puts the policy in. */
function strict(folder, file) {
  const html = readFileSync(file, 'utf8')
  const [inline, ...others] = html.match(/<script>.*?<\/script>/gs) ?? []
  if (!inline || others.length > 0) throw new Error(`${file}: expected one script in the page`)
  const early = join(folder, 'assets/early.js')
  writeFileSync(early, `${inline.slice('<script>'.length, -'</script>'.length)}\n`)
  const address = relative(dirname(file), early).replaceAll('\\', '/')
  writeFileSync(
    file,
    html
      .replace('<head>', `<head><meta http-equiv="Content-Security-Policy" content="${policy}"/>`)
      .replace(inline, `<script src="${address}"></script>`),
  )
}

if (isMain(import.meta)) {
  try {
    docs()
  } catch (error) {
    fail(error)
  }
}
