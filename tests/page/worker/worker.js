import { init, Model } from 'lokahi'

async function say(device) {
  const { backend } = await init({ device })
  const model = await Model.fromPretrained(new URL('/places/base/', self.location.origin))
  const folder = new URL('/places/adapters/fi-loha/', self.location.origin)
  const { parameters } = await model.loadAdapter(folder, { name: 'fi' })
  model.setAdapters(['fi'])
  let text = 'San '
  for await (const piece of model.generate(text)) text += piece
  model.dispose()
  return { backend, parameters, text }
}

self.postMessage([await say('cpu'), await say('webgpu')])
