import integrity from 'lokahi/integrity.json'
import { startWorker } from 'lokahi/worker'
import { golden } from './golden.js'

async function start() {
  // The hash is compared in the worker: a wrong one first.
  const wrong = startWorker({ device: 'cpu', integrity: 'sha384-AAAA' })
  const code = await wrong.catch((error) => error.code)
  if (code !== 'IntegrityMismatch') throw new Error(`a wrong hash: ${code}`)
  return golden(await startWorker({ device: 'cpu', integrity }), './places')
}

window.result = start()
