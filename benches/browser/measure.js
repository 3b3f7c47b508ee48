/** Milliseconds that something takes. */
export async function time(run) {
  const start = performance.now()
  await run()
  return performance.now() - start
}

/**
 * Runs every candidate once a round, forwards and backwards in turn: drifts hit all of them alike. Those
 * with `rounds` of their own rest after them. What else a candidate has comes back with its times.
 */
export async function interleaved(candidates, rounds) {
  const samples = candidates.map(() => [])
  for (let round = 0; round < rounds; round++) {
    const order = [...candidates.entries()]
    for (const [at, { run, rounds: own = rounds }] of round % 2 ? order.reverse() : order) {
      if (round < own) samples[at].push(await run(round))
    }
  }
  return candidates.map(({ run: _, rounds: __, ...named }, at) => ({
    ...named,
    ...summary(samples[at]),
  }))
}

/** Median, smallest and largest. */
export function summary(all) {
  const sorted = all.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  const median = sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
  return { median, min: sorted[0], max: sorted.at(-1), all }
}

/** Browsers' clocks tick every 0.1 ms at worst: a share of a sample of 20 ms. */
const TICK = 0.1 / 20

/**
 * What one candidate takes more than another, round by round. `noise`: a tick of the clock, or how far
 * these differences lie from their median, whichever is more. Less than that tells nothing.
 */
export function difference(more, less) {
  const found = summary(more.all.map((ms, round) => ms - less.all[round]))
  const scatter = summary(found.all.map((ms) => Math.abs(ms - found.median))).median
  return { ...found, noise: Math.max(scatter, less.median * TICK) }
}

/**
 * How many runs last so many milliseconds, and how long these lasted. Warmed up by finding out. The
 * shorter of two tries counts, as a hiccup of the machine makes one run look long enough.
 */
export async function enough(run, least) {
  for (let times = 1; ;) {
    const once = () => time(() => run(times))
    let ms = await once()
    if (ms >= least && ms < 10 * least) ms = Math.min(ms, await once())
    if (ms >= least || times >= 1 << 16) return { times, ms }
    times = Math.ceil(times * Math.min(16, Math.max(2, (1.2 * least) / Math.max(ms, 0.1))))
  }
}
