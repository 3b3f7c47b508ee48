// What every consumer does with the package: load the model, swap an adapter in, name a town, and
// measure one change.
export const weight = 'model.layers.0.mlp.down_proj'

/** `lokahi` has been started; `places` is where the model and its adapters are. */
export async function golden({ Model }, places) {
  const model = await Model.fromPretrained(`${places}/base/`)
  const adapter = await model.loadAdapter(`${places}/fi-lokr/`, { name: 'fi' })
  await model.setAdapters(['fi'])
  let text = 'San '
  for await (const piece of model.generate(text)) text += piece
  // In the wasm of the tools, which has to be found too.
  const { singularValues } = await adapter.spectrum(weight)
  const { parameters } = adapter
  await model.dispose()
  return { parameters, text, delta: Math.hypot(...singularValues) }
}
