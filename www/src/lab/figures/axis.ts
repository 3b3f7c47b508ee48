/** Log axes: where a value stands, which values are named. */

export interface Axis {
  at: (value: number) => number
  ticks: number[]
}

/** Values from `low` to `high` on pixels from `start` to `end`; whole decades are named. */
export function logAxis(low: number, high: number, start: number, end: number): Axis {
  const [a, b] = [Math.log10(low), Math.log10(high)]
  const decades: number[] = []
  for (let e = Math.ceil(a - 1e-9); e <= Math.floor(b + 1e-9); e++) decades.push(10 ** e)
  return {
    at: (value) => start + ((Math.log10(value) - a) / (b - a || 1)) * (end - start),
    ticks: decades,
  }
}

/** The marks nearest to a pointer, in the figure's own units. */
export function nearest<T extends { x: number; y: number }>(
  marks: readonly T[],
  x: number,
  y: number,
  within = 40,
): T | null {
  let found: T | null = null
  let least = within
  for (const mark of marks) {
    const distance = Math.hypot(mark.x - x, mark.y - y)
    if (distance < least) [found, least] = [mark, distance]
  }
  return found
}

/** Where a pointer is in the units of an SVG's view box of this width. */
export function pointed(event: PointerEvent, width: number): [number, number] {
  const box = (event.currentTarget as Element).getBoundingClientRect()
  const scale = width / box.width
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale]
}
