/** Taking turns with the page on its one thread. */

/** A bell: `next()` resolves at the first `come()` after it was called. */
export class Turn {
  #ring: () => void = () => {}
  next(): Promise<void> {
    return new Promise((resolve) => (this.#ring = resolve))
  }
  come(): void {
    this.#ring()
  }
}

const channel = new MessageChannel()
const waiting: (() => void)[] = []
channel.port1.onmessage = () => waiting.shift()?.()

/** Let input and painting go first. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve)
    channel.port2.postMessage(null)
  })
}

export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}
