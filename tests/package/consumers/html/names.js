/** What the model writes after each beginning: alone, with each adapter, and with each of them merged. */
export async function names({ Model }, places, adapters, beginnings) {
  const model = await Model.fromPretrained(`${places}/base/`)
  const write = async () => {
    const all = []
    for (const beginning of beginnings) {
      let text = beginning
      for await (const piece of model.generate(beginning)) text += piece
      all.push(text)
    }
    return all
  }
  const texts = { base: await write() }
  const merged = { base: texts.base }
  // At most, while something was merged.
  let buffers = 0
  for (const name of adapters) {
    await model.loadAdapter(`${places}/adapters/${name}/`, { name })
    model.setAdapters([name])
    texts[name] = await write()
    model.mergeAdapters()
    merged[name] = await write()
    buffers = Math.max(buffers, model.memory.buffers)
    model.unmergeAdapters()
    model.deleteAdapter(name)
  }
  model.dispose()
  return { texts, merged, buffers }
}
