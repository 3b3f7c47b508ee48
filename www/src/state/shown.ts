/**
 * What a link leaves out, and the one part that a frame shows. By a style sheet that a script makes:
 * the page's policy has no inline styles, and what comes later is hidden too. What is hidden is never
 * near the window, so it is not fetched either.
 */

import type { Settings } from './settings'

const sheet = new CSSStyleSheet()
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]

export function show({ hide, embed }: Pick<Settings, 'hide' | 'embed'>): void {
  const hidden = hide.flatMap((name) => [`[data-part="${name}"]`, `[data-control="${name}"]`])
  if (embed) hidden.push('[data-frame]', `[data-part]:not([data-part="${embed}"])`)
  sheet.replaceSync(hidden.length ? `${hidden.join()}{display:none!important}` : '')
}
