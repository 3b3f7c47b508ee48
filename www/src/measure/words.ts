/** How what was measured is named and shown. */

import { m } from '../i18n/measure'
import { short } from '../state/numbers'
import type { OfBackend } from './timer.svelte'

export const duration = (ms: number): string =>
  ms < 1 ? `${short(1000 * ms)} µs` : `${short(ms)} ms`

export const nameOf = ({ backend, device }: OfBackend): string =>
  backend === 'cpu' ? m().backends.cpu : m().backends.webgpu(device)
