import type { Method } from '../state/choices'

/** Paths around the origin, about equal in area. */
export const MARKS: Record<Method, string> = {
  lora: 'M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0Z',
  loha: 'M0 -4.6L4.6 0L0 4.6L-4.6 0Z',
  lokr: 'M0 -4.4L4.4 3.4L-4.4 3.4Z',
}
