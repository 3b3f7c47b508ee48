// What the benches found, as text.

const number = (x) => (x >= 100 ? x.toFixed(0) : x.toPrecision(3))

/** Rows of text in columns. */
export function columns(rows) {
  const widths = rows[0].map((_, at) => Math.max(...rows.map((row) => row[at].length)))
  return rows.map((row) =>
    row
      .map((text, at) => text.padEnd(widths[at]))
      .join('  ')
      .trimEnd(),
  )
}

/** A line a candidate. */
export function modelTable({ memory, results }) {
  const rows = results.map(({ what, unit, name, median, min, max }) => [
    what,
    name,
    `${number(median)} ${unit}`,
    `${number(min)} to ${number(max)}`,
  ])
  return [`memory of weights and adapters: ${(memory.bytes / 1e6).toFixed(1)} MB`, ...columns(rows)]
}

/** What is told of a cell: what of it, and by which name. */
const LINES = { base: 'base', delta: 'delta', both: 'base + delta' }

/** Two lines a cell, the delta alone and with the base, the least ratios, the plan. Milliseconds. */
export function productTable({ cells }) {
  const names = (found) => found.map(({ who }) => who)
  const peers = [...new Set(cells.flatMap(({ found }) => names(found)))].filter(
    (who) => who !== 'Lokahi',
  )
  const head = ['out x in', 'rows', 'method', 'ms of', 'Lokahi', 'Lokahi merged', ...peers]
  const rows = [peers.length > 0 ? [...head, 'best peer / Lokahi'] : head]
  const ratios = []
  for (const { shape, rows: count, kind, found } of cells) {
    const by = (who, what) => found.find((each) => each.who === who && each.what === what)
    const whats = Object.keys(LINES).filter((what) => (what === 'base') === (kind === 'base'))
    for (const what of whats) {
      const ours = by('Lokahi', what)
      const theirs = peers.map((peer) => by(peer, what))
      const row = [
        shape.join('x'),
        `${count}`,
        kind,
        LINES[what],
        times(ours),
        what === 'both' ? times(by('Lokahi', 'merged')) : '',
        ...theirs.map(times),
      ]
      if (peers.length > 0) {
        const { ratio, atLeast } = ratioOf(ours, theirs)
        row.push(`${atLeast ? '> ' : ''}${number(ratio)}`)
        ratios.push({ kind, what, count, ratio })
      }
      rows.push(row)
    }
  }
  return [
    ...columns(rows),
    ...(peers.length > 0 ? ['', ...least(ratios)] : []),
    ...['', planned(cells.filter(({ choice }) => choice))],
  ]
}

/** How often the plan takes a form that is not a tenth slower than the faster one. */
function planned(cells) {
  const good = cells.filter(({ found, choice }) => {
    const ours = found.filter(({ who, what }) => who === 'Lokahi' && /both|merged/.test(what))
    const best = Math.min(...ours.map(({ median }) => median))
    return ours.find(({ what }) => what === choice).median < 1.1 * best
  })
  return `the plan: within 10 % of the faster form in ${good.length} of ${cells.length} cells`
}

/** Median, then smallest to largest. What is less than the noise tells nothing. */
function times({ median, min, max, noise = 0 }) {
  if (median < noise) return `< ${number(noise)}`
  return `${number(median)} (${[min, max].map(number).join(' to ')})`
}

/** How many times as long as ours the fastest peer takes: at least so many where ours is noise. */
export function ratioOf({ median, noise = 0 }, peers) {
  const best = Math.min(...peers.map((peer) => peer.median))
  return { ratio: best / Math.max(median, noise), atLeast: median < noise }
}

/** The least ratio of all shapes, by method and rows. */
function least(ratios) {
  const counts = [...new Set(ratios.map(({ count }) => count))]
  const lowest = new Map()
  for (const { kind, what, count, ratio } of ratios) {
    const line = `${kind}, ${LINES[what]}`
    const row = lowest.get(line) ?? counts.map(() => Infinity)
    lowest.set(line, row)
    const at = counts.indexOf(count)
    row[at] = Math.min(row[at], ratio)
  }
  const text = (ratio) => (ratio < Infinity ? number(ratio) : '')
  const rows = [...lowest].map(([line, row]) => [line, ...row.map(text)])
  return columns([['least of all shapes', ...counts.map((count) => `rows ${count}`)], ...rows])
}
