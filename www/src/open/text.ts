/** Texts that come from files: they are shown, never obeyed. */

/** Control characters, and what turns or hides the text around it, as its code: `\u202e`. */
export const shown = (text: string): string =>
  text.replace(
    /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

/** The beginning and the end of what is too long for its place; ends tell more of a module's name. */
export function middle(text: string, most: number): string {
  if (text.length <= most) return text
  const start = Math.floor(most / 4)
  return `${text.slice(0, start)}…${text.slice(start + 1 - most)}`
}

/** A text as JavaScript writes it. */
export const quoted = (text: string): string =>
  `'${JSON.stringify(text).slice(1, -1).replaceAll("'", "\\'").replaceAll('\\"', '"')}'`

/** A word of a POSIX shell. */
export const word = (text: string): string =>
  /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

/** A setting as people write it: 16, 0.5. */
export const plain = (n: number): string => String(Number(n.toPrecision(4)))

/** Of a file. */
export const size = (bytes: number): string =>
  bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`
