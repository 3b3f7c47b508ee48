/** Milliseconds that computing may hold the event loop: half a frame. */
const LONGEST = 8

/** When it was let go last, by whichever call: short calls in a row would hold it for good otherwise. */
let since = performance.now()

/**
 * Lets the page draw and answer while the CPU backend computes: its results are ready at once, so
 * awaiting them alone would never leave the microtask queue.
 */
export async function breathe(): Promise<void> {
  if (performance.now() - since < LONGEST) return
  await new Promise<void>((resolve) => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(undefined)
  })
  since = performance.now()
}
