// The package on the page and through its worker, for the test to use.
import * as near from 'lokahi'
import * as far from 'lokahi/worker'

Object.assign(window, {
  near,
  far,
  /** A worker of the page's own. */
  ownWorker: () => new Worker(new URL('./own.js', import.meta.url), { type: 'module' }),
  async text(pieces) {
    let all = ''
    for await (const piece of pieces) all += piece
    return all
  },
  /** What is left of an error: its class, name, code and message. */
  async errorOf(promise) {
    try {
      return { value: await promise }
    } catch (error) {
      const { name, code, message } = error
      return { class: error.constructor.name, name, code, message }
    }
  },
})
