// Makes a fresh clone ready. Each need is looked for first, so a second run takes no time.
// Building needs Rust and the npm packages; only the tests need browsers.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { hasModel, hasPip } from './model.mjs'
import {
  ask,
  chromium,
  fail,
  find,
  firefox,
  isMain,
  lockedVersion,
  npm,
  read,
  root,
  run,
  toolsFolder,
} from './tools.mjs'

export function setup({ browsers = false, webkit = false } = {}) {
  rust()
  packages()
  cargoTool('wasm-bindgen-cli', lockedVersion('wasm-bindgen'), [
    'wasm-bindgen',
    'wasm-bindgen-test-runner',
  ])
  if (browsers) {
    cargoTool('wasm-pack', '0.15.1', ['wasm-pack'])
    cargoTool('geckodriver', '0.37.1', ['geckodriver'])
    systemPackages({ webkit })
  }
}

function rust() {
  const wanted = read('Cargo.toml').match(/^rust-version = "(.+)"/m)[1]
  const found = ask('rustc', '--version').split(' ')[1]
  if (!found) throw new Error(`Rust is missing. Install ${wanted} or newer from https://rustup.rs`)
  if (found.localeCompare(wanted, 'en', { numeric: true }) < 0) {
    throw new Error(
      `Rust is ${found}, but ${wanted} or newer is needed: run 'rustup update stable'`,
    )
  }
  const target = 'wasm32-unknown-unknown'
  if (!existsSync(join(ask('rustc', '--print', 'sysroot'), 'lib/rustlib', target))) {
    install(`the Rust target ${target}`, 'rustup', ['target', 'add', target])
  }
  for (const [component, command] of [
    ['clippy', 'cargo-clippy'],
    ['rustfmt', 'cargo-fmt'],
  ]) {
    if (!ask(command, '--version')) {
      install(`the Rust component ${component}`, 'rustup', ['component', 'add', component])
    }
  }
}

function packages() {
  const installed = join(root, 'node_modules/.package-lock.json')
  const lock = join(root, 'package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return
  install('the npm packages', npm[0], [...npm.slice(1), 'ci'])
}

/**
 * A command-line tool from crates.io, built into the project's own folder. One that only starts
 * other programs is built without optimisations: they take longer than all that it does.
 */
export function cargoTool(crate, version, commands) {
  if (commands.every((command) => ask(command, '--version').split(/\s/)[1] === version)) return
  const args = ['install', crate, '--version', version, '--root', toolsFolder, '--force']
  if (crate !== 'wasm-bindgen-cli') args.push('--debug')
  install(`${crate} ${version} into .tools (a minute or two)`, 'cargo', args)
}

/** Browsers, the software GPUs that make WebGPU run without hardware, and Korean letters. */
function systemPackages({ webkit }) {
  const lists = (folder, part) =>
    existsSync(folder) &&
    readdirSync(folder, { recursive: true }).some((file) => file.includes(part))
  const libraries = ask('ldconfig', '-p') || ask('/sbin/ldconfig', '-p')
  const needs = [
    ['chromium', chromium()],
    ['chromium-driver', find('chromedriver')],
    ['firefox-esr', firefox()],
  ]
  if (process.platform === 'linux') {
    if (webkit) {
      needs.push(
        ['webkit2gtk-driver', find('WebKitWebDriver')],
        ['xvfb', find('xvfb-run')],
        ['xauth', find('xauth')],
      )
    }
    needs.push(
      ['mesa-vulkan-drivers', lists('/usr/share/vulkan/icd.d', 'lvp_icd')],
      ['libvulkan1', libraries.includes('libvulkan.so.1')],
      ['fonts-noto-cjk', lists('/usr/share/fonts', 'NotoSansCJK')],
    )
  }
  const missing = needs.filter(([, found]) => !found).map(([name]) => name)
  // Brings the model that some tests need. Without it they say so, so nobody is asked to install it.
  if (find('apt-get') && process.getuid() === 0 && !hasModel() && !hasPip()) {
    missing.push('python3-pip')
  }
  if (missing.length === 0) return

  const aptGet = ['apt-get', 'install', '-y', '--no-install-recommends', ...missing]
  if (!find('apt-get')) {
    throw new Error(`The tests need these, by their names in Debian: ${missing.join(', ')}`)
  }
  if (process.getuid() !== 0) {
    throw new Error(`The tests need system packages. Install them: sudo ${aptGet.join(' ')}`)
  }
  const quiet = { DEBIAN_FRONTEND: 'noninteractive' }
  install('the list of Debian packages', 'apt-get', ['update'], quiet)
  install(missing.join(', '), aptGet[0], aptGet.slice(1), quiet)
}

function install(what, command, args, env) {
  console.log(`setup: installing ${what}`)
  run(command, args, env)
}

if (isMain(import.meta)) {
  try {
    setup({ browsers: !process.argv.includes('--no-browsers') })
    console.log('setup: everything is in place')
  } catch (error) {
    fail(error)
  }
}
