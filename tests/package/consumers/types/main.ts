// Compiled, not run: an application that is strict about everything.
import integrity from 'lokahi/integrity.json' with { type: 'json' }
import { Adapter, LokahiError, Model, init, type Engine, type ErrorCode } from 'lokahi'
import { init as initInline } from 'lokahi/inline'
import { startWorker, type RemoteModel } from 'lokahi/worker'

export async function use(signal: AbortSignal): Promise<string> {
  const engine: Engine = await init({ device: 'auto', wasm: new URL('https://host/a'), integrity })
  await initInline()
  const model = await Model.fromPretrained('./places/base/', { signal })
  const { parameters } = await model.loadAdapter('./places/fi-lokr/', { name: 'fi' })
  model.setAdapters(['fi'], [0.5])
  let text = `${engine.backend}, ${parameters satisfies number}: `
  for await (const piece of model.generate('San ', { temperature: 0.8, signal })) text += piece
  const adapter = await Adapter.load(new Blob([]) as File)
  const values: number[] = (await adapter.spectrum('a')).singularValues
  const lokahi = await startWorker()
  const far: RemoteModel = await lokahi.Model.fromPretrained('./places/base/')
  const { logits } = await far.forward([1])
  logits.fill(values[0] ?? 0)
  // @ts-expect-error no such device
  await init({ device: 'tpu' })
  // @ts-expect-error strengths are numbers
  model.setAdapters(['fi'], ['1'])
  return text
}

export const code = (error: unknown): ErrorCode | undefined =>
  error instanceof LokahiError ? error.code : undefined
