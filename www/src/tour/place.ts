/** Finding a place of the page, showing it, and marking it. */

/** A part that comes late is waited for so long. */
const PATIENCE_MS = 5000
/** Figures that fill after the place was shown may move it; it is held there for so long. */
const HOLD_MS = 1500
const AIR = 24

export const there = (part: string): boolean =>
  document.querySelector(`[data-part=${part}]`)?.checkVisibility() ?? false

/** The place, as soon as it is there; null when it does not come. */
export function appears(selector: string, signal: AbortSignal): Promise<HTMLElement | null> {
  const find = () => document.querySelector<HTMLElement>(selector)
  return new Promise((resolve) => {
    const watch = new MutationObserver(() => find() && done())
    const timer = setTimeout(() => done(), PATIENCE_MS)
    function done() {
      watch.disconnect()
      clearTimeout(timer)
      resolve(signal.aborted ? null : find())
    }
    signal.addEventListener('abort', () => done())
    if (find()) return done()
    watch.observe(document.body, { childList: true, subtree: true })
  })
}

/** In the middle of the window above the bar, or its beginning where it is taller. */
function topOf(place: Element, bar: Element): number {
  const { top, height } = place.getBoundingClientRect()
  const room = innerHeight - bar.getBoundingClientRect().height
  return scrollY + top - Math.max(AIR, (room - height) / 2)
}

/** Scrolls there and holds it until whoever looks scrolls on. Far away it jumps: a long slide is a blur. */
export function hold(place: Element, bar: Element, signal: AbortSignal): void {
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches
  const far = Math.abs(topOf(place, bar) - scrollY) > 1.5 * innerHeight
  const go = (behavior: ScrollBehavior) => scrollTo({ top: topOf(place, bar), behavior })
  go(still || far ? 'instant' : 'smooth')
  let first = true
  const watch = new ResizeObserver(() => {
    if (!first) go('instant')
    first = false
  })
  watch.observe(document.body)
  const end = () => watch.disconnect()
  setTimeout(end, HOLD_MS)
  for (const event of ['wheel', 'touchstart', 'pointerdown', 'keydown'])
    addEventListener(event, end, { once: true, passive: true, signal })
  signal.addEventListener('abort', end)
}
