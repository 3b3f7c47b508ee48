// What others wrote: its licences, and advisories against it. The advisories are on the network; what
// cannot be asked is said, and what is found fails.
import { spawnSync } from 'node:child_process'
import { cargoTool } from './setup.mjs'
import { ask, fail, isMain, npm, read, root, run } from './tools.mjs'

/** Licences that a page may be published with, without a word from us to anybody. */
const free = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'Unicode-3.0',
  'Unlicense',
  'Zlib',
])

/** Tools may have these too: nothing of theirs is published. */
const tools = new Set([...free, 'MPL-2.0', 'Python-2.0'])

/** Whether a licence by SPDX, or as older crates write it, leaves a choice that is free. */
export function isFree(licence, among = free) {
  if (typeof licence !== 'string') return false
  const every = (text) => text.split(' AND ').every((name) => among.has(name.trim()))
  const choices = (text) => text.split(/ OR |\//).some(every)
  // The one kind of brackets in use: (A OR B) AND C.
  const [, inner, rest] = licence.match(/^\((.+)\) AND (.+)$/) ?? []
  return inner === undefined ? choices(licence) : choices(inner) && every(rest)
}

/** What a report of `npm audit --json` means: found advisories, or why there is none. */
export function judged(text, levels) {
  let report
  try {
    report = JSON.parse(text)
  } catch {
    return { skipped: `npm audit gave no report: ${text.trim().slice(0, 200)}` }
  }
  const counts = report.metadata?.vulnerabilities
  if (!counts) return { skipped: report.message ?? report.error?.summary ?? 'no report' }
  const found = Object.values(report.vulnerabilities)
    .filter(({ severity }) => levels.includes(severity))
    .map(({ name, severity }) => `${name} (${severity})`)
  return { found }
}

const levels = ['info', 'low', 'moderate', 'high', 'critical']

export function audit() {
  const wrong = [...crates(), ...packages()]
  if (wrong.length > 0) throw new Error(`licences that are not free:\n${wrong.join('\n')}`)

  advisories(['--omit=dev'], levels)
  advisories([], levels.slice(levels.indexOf('high')))
}

/** The crates by deny.toml; cargo-deny takes a minute to build, so it is for the night. */
export function deny() {
  cargoTool('cargo-deny', '0.20.2', ['cargo-deny'])
  // A build fetches what its own target needs; the check is of all.
  run('cargo', ['fetch', '--locked'])
  const check = ['deny', '--locked', '--offline', 'check']
  run('cargo', [...check, 'licenses', 'bans', 'sources'])
  const { status, stderr } = spawnSync('cargo', ['deny', 'fetch', 'db'], {
    encoding: 'utf8',
    cwd: root,
  })
  if (status === 0) run('cargo', [...check, 'advisories'])
  else console.log(`SKIPPED: advisories against crates, which cannot be asked: ${stderr.trim()}`)
}

/** Of the crates that the wasm is made of. */
function crates() {
  const target = 'wasm32-unknown-unknown'
  const args = ['--locked', '--format-version', '1', '--filter-platform', target]
  const { packages, resolve } = JSON.parse(ask('cargo', 'metadata', ...args))
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]))
  const seen = new Set()
  const walk = (id) => {
    if (seen.has(id)) return
    seen.add(id)
    for (const { pkg, dep_kinds } of nodes.get(id).deps) {
      if (dep_kinds.some(({ kind }) => kind !== 'dev')) walk(pkg)
    }
  }
  walk(resolve.root)
  console.log(`${seen.size} crates in the wasm and what builds it`)
  return packages
    .filter(({ id, license }) => seen.has(id) && !isFree(license))
    .map(({ name, license }) => `${name}: ${license}`)
}

function packages() {
  const all = Object.entries(JSON.parse(read('package-lock.json')).packages).filter(([at]) => at)
  console.log(
    `${all.length} npm packages, ${all.filter(([, { dev }]) => !dev).length} of them shipped`,
  )
  return all
    .filter(([, { license, dev }]) => !isFree(license, dev ? tools : free))
    .map(([at, { license }]) => `${at}: ${license}`)
}

function advisories(which, counted) {
  const [command, ...first] = npm
  const args = [...first, 'audit', '--json', ...which]
  const { stdout, error } = spawnSync(command, args, { cwd: root, encoding: 'utf8' })
  if (error) throw error
  const what = `npm audit ${which.join(' ')}`.trim()
  const { skipped, found } = judged(stdout, counted)
  if (skipped) console.log(`SKIPPED: ${what}, whose advisories cannot be asked: ${skipped}`)
  else if (found.length > 0) throw new Error(`${what} found ${found.join(', ')}`)
  else
    console.log(
      `${what}: nothing ${counted[0] === 'info' ? '' : `at ${counted[0]} or above `}found`,
    )
}

if (isMain(import.meta)) {
  try {
    audit()
  } catch (error) {
    fail(error)
  }
}
