/**
 * The scale of the heatmaps: purple below zero, the page's own colour at zero, ochre above; even steps
 * in OKLab, told apart with every common colour blindness, and no method's colour.
 */

export const SHADES = 255

type Rgb = readonly [number, number, number]
const ENDS: Record<'light' | 'dark', { zero: Rgb; below: Rgb; above: Rgb }> = {
  light: { zero: [253, 253, 251], below: [84, 39, 136], above: [128, 78, 0] },
  dark: { zero: [20, 21, 19], below: [196, 160, 255], above: [255, 196, 84] },
}

const linear = (c: number) => (c <= 10.31475 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4)
const encoded = (c: number) =>
  255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * Math.max(0, c) ** (1 / 2.4) - 0.055)

function toLab(rgb: Rgb): Rgb {
  const [r, g, b] = rgb.map(linear) as [number, number, number]
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ]
}

function toRgb([L, a, b]: Rgb): Rgb {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3
  return [
    encoded(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    encoded(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    encoded(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  ]
}

/** SHADES colours, -1 to 1, as canvases hold them: alpha, blue, green, red. */
function scale({ zero, below, above }: { zero: Rgb; below: Rgb; above: Rgb }): Uint32Array {
  const middle = toLab(zero)
  return Uint32Array.from({ length: SHADES }, (_, i) => {
    const x = (2 * i) / (SHADES - 1) - 1
    const end = toLab(x < 0 ? below : above)
    const mixed = middle.map((c, k) => c + (end[k]! - c) * Math.abs(x)) as unknown as Rgb
    const [r, g, b] = toRgb(mixed).map((c) => Math.round(Math.min(255, Math.max(0, c))))
    return (255 << 24) | (b! << 16) | (g! << 8) | r!
  })
}

const SCALES = { light: scale(ENDS.light), dark: scale(ENDS.dark) }
const shown = () =>
  getComputedStyle(document.documentElement).colorScheme === 'dark' ? 'dark' : 'light'

const current = $state<{ theme: 'light' | 'dark' }>({ theme: shown() })
const look = () => (current.theme = shown())
new MutationObserver(look).observe(document.documentElement, { attributeFilter: ['data-theme'] })
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', look)

/** The colours of the current theme; reading them in an effect follows a change. */
export const shades = (): Uint32Array => SCALES[current.theme]
