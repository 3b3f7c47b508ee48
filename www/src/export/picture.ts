/**
 * A panel's figure as one SVG that stands alone: its drawings with their styles written into them, its
 * heatmaps as images, its texts line by line, its rules. PNG is that SVG, drawn.
 */

const SVG = 'http://www.w3.org/2000/svg'
/** Of a drawing; what the page's style sheet says becomes an attribute. */
const STYLES = [
  'fill',
  'stroke',
  'stroke-width',
  'stroke-dasharray',
  'opacity',
  'font-size',
  'font-family',
  'font-weight',
  'paint-order',
  'image-rendering',
]
const AIR = 12

interface Where {
  left: number
  top: number
}

function element(name: string, attributes: Record<string, string | number>): SVGElement {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value))
  return made
}

function at(box: DOMRect, { left, top }: Where) {
  return { x: box.left - left, y: box.top - top, width: box.width, height: box.height }
}

function drawing(svg: SVGSVGElement, where: Where): SVGElement {
  const copy = svg.cloneNode(true) as SVGSVGElement
  const [from, to] = [svg, copy].map((root) => [root, ...root.querySelectorAll<SVGElement>('*')])
  from!.forEach((original, i) => {
    const style = getComputedStyle(original)
    const made = to![i]!
    if (made !== copy) for (const key of STYLES) made.setAttribute(key, style.getPropertyValue(key))
    for (const name of ['class', 'style', 'role', 'aria-label']) made.removeAttribute(name)
  })
  for (const [key, value] of Object.entries(at(svg.getBoundingClientRect(), where)))
    copy.setAttribute(key, String(value))
  return copy
}

/** The lines that the browser has broken a text into. */
function* lineBoxes(node: Text): Generator<{ text: string; box: DOMRect }> {
  const range = document.createRange()
  let line: { text: string; box: DOMRect } | null = null
  for (const { 0: word, index } of node.data.matchAll(/\S+\s*/g)) {
    range.setStart(node, index)
    range.setEnd(node, index + word.trimEnd().length)
    const box = range.getBoundingClientRect()
    if (box.width === 0) continue
    if (line && Math.abs(line.box.top - box.top) < 2) line.text += word
    else {
      if (line) yield line
      line = { text: word, box }
    }
  }
  if (line) yield line
}

function* words(node: Text, where: Where): Generator<SVGElement> {
  const style = getComputedStyle(node.parentElement!)
  const size = Number.parseFloat(style.fontSize)
  for (const { text, box } of lineBoxes(node)) {
    const { x, y, height } = at(box, where)
    const made = element('text', {
      x,
      // near enough to every system font's base line
      y: y + height / 2 + size * 0.35,
      fill: style.color,
      'font-size': size,
      'font-family': style.fontFamily,
      'font-weight': style.fontWeight,
      'font-style': style.fontStyle,
    })
    made.textContent = text
    yield made
  }
}

function* rules(part: Element, where: Where): Generator<SVGElement> {
  const style = getComputedStyle(part)
  const box = at(part.getBoundingClientRect(), where)
  for (const side of ['top', 'bottom'] as const) {
    const thick = Number.parseFloat(style.getPropertyValue(`border-${side}-width`))
    const fill = style.getPropertyValue(`border-${side}-color`)
    if (!thick || /^rgba.*, 0\)$/.test(fill)) continue
    const y = side === 'top' ? box.y : box.y + box.height - thick
    yield element('rect', { x: box.x, y, width: box.width, height: thick, fill })
  }
}

function* pieces(node: Node, where: Where): Generator<SVGElement> {
  if (node instanceof Text) return yield* words(node, where)
  if (!(node instanceof Element) || !node.checkVisibility({ opacityProperty: true })) return
  if (node.matches('.unseen, summary, input, button, select, textarea, [data-frame]')) return
  if (node instanceof SVGSVGElement) return yield drawing(node, where)
  if (node instanceof HTMLCanvasElement) {
    const href = node.toDataURL()
    const box = at(node.getBoundingClientRect(), where)
    return yield element('image', {
      ...box,
      href,
      preserveAspectRatio: 'none',
      'image-rendering': 'pixelated',
    })
  }
  yield* rules(node, where)
  for (const child of node.childNodes) yield* pieces(child, where)
}

export function toSvg(figure: Element): { svg: string; width: number; height: number } {
  const box = figure.getBoundingClientRect()
  const width = Math.ceil(box.width) + 2 * AIR
  const height = Math.ceil(box.height) + 2 * AIR
  const root = element('svg', { xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}` })
  const { backgroundColor } = getComputedStyle(document.documentElement)
  root.append(element('rect', { width, height, fill: backgroundColor }))
  root.append(...pieces(figure, { left: box.left - AIR, top: box.top - AIR }))
  return { svg: new XMLSerializer().serializeToString(root), width, height }
}

export async function toPng(figure: Element): Promise<Blob> {
  const { svg, width, height } = toSvg(figure)
  const image = new Image()
  // a data address: the page's policy knows no blob images
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`
  await image.decode()
  const scale = 2
  const canvas = document.createElement('canvas')
  canvas.width = width * scale
  canvas.height = height * scale
  canvas.getContext('2d')?.drawImage(image, 0, 0, canvas.width, canvas.height)
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('no PNG'))), 'image/png'),
  )
}
