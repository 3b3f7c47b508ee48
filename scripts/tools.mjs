// What every script needs: where the project is, how to run a command, what is installed.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync, realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

// The project's own tools go before the machine's, whose versions may not fit the lock files.
export const toolsFolder = join(root, '.tools')
process.env.PATH = [join(toolsFolder, 'bin'), process.env.PATH].join(delimiter)

/** Runs a command in the project's root, shows what it prints, and throws when it fails. */
export function run(command, args, env = {}) {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (error) throw new Error(`${command} could not be started: ${error.message}`)
  if (status !== 0) throw new Error(`${command} ended with ${signal ?? `exit status ${status}`}`)
}

// npm tells the scripts it starts where it is: on Windows, the command 'npm' is not a program.
export const npm = process.env.npm_execpath?.endsWith('npm-cli.js')
  ? [process.execPath, process.env.npm_execpath]
  : ['npm']

/** What a command prints, or '' when it is missing or fails. */
export function ask(command, ...args) {
  const { status, stdout } = spawnSync(command, args, { cwd: root, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : ''
}

/** The full path of the first of these commands that is installed, or undefined. */
export function find(...names) {
  for (const name of names) {
    for (const folder of process.env.PATH.split(delimiter)) {
      const path = join(folder, process.platform === 'win32' ? `${name}.exe` : name)
      try {
        accessSync(path, constants.X_OK)
        return path
      } catch {
        // not here
      }
    }
  }
}

// Browsers for the tests; what turns WebGPU on in them is kept in webdriver.json alone.
export const chromium = () => find('chromium', 'chromium-browser', 'google-chrome')
export const firefox = () => find('firefox-esr', 'firefox')
export const chromiumArgs = () => JSON.parse(read('webdriver.json'))['goog:chromeOptions'].args

/** Runs a command of an npm package, without npx, which might fetch what is missing. */
export function runPackage(name, args, { bin = name } = {}) {
  const { bin: bins } = JSON.parse(read(`node_modules/${name}/package.json`))
  const script = typeof bins === 'string' ? bins : bins[bin]
  run(process.execPath, [join(root, 'node_modules', name, script), ...args])
}

export const read = (path) => readFileSync(join(root, path), 'utf8')

/** Cargo's target folder, which a setting of the user may have moved. */
export function targetFolder() {
  const metadata = ask('cargo', 'metadata', '--format-version', '1', '--no-deps', '--offline')
  return JSON.parse(metadata).target_directory
}

/** The version of a crate in Cargo.lock. */
export function lockedVersion(crate) {
  const version = read('Cargo.lock').match(`name = "${crate}"\nversion = "(.+)"`)?.[1]
  if (!version) throw new Error(`Cargo.lock does not name ${crate}`)
  return version
}

/** Whether this module is the script that was started, and not one that another imports. */
export const isMain = ({ filename }) =>
  process.argv[1] !== undefined && realpathSync(process.argv[1]) === filename

/** Ends a script with the message alone: a stack of our own frames helps nobody. */
export function fail(error) {
  console.error(`\n${error.message}`)
  process.exit(1)
}
