/** Milliseconds that something takes. */
export async function time(run) {
  const start = performance.now()
  await run()
  return performance.now() - start
}

/** Runs every candidate once a round, forwards and backwards in turn: drifts hit all of them alike. */
export async function interleaved(candidates, rounds) {
  const samples = new Map(candidates.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 ? candidates.toReversed() : candidates
    for (const { name, run } of order) samples.get(name).push(await run(round))
  }
  return [...samples].map(([name, all]) => ({ name, ...summary(all) }))
}

/** Median, smallest and largest. */
export function summary(all) {
  const sorted = all.toSorted((a, b) => a - b)
  return { median: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1), all }
}
