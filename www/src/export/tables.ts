/** The numbers of a panel as files. */

export type Row = Readonly<Record<string, string | number | boolean | null>>

/** RFC 4180; a column is there for every key of any row. */
export function toCsv(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const cell = (value: Row[string] | undefined) => {
    const text = value === null || value === undefined ? '' : String(value)
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  return [columns, ...rows.map((row) => columns.map((column) => row[column]))]
    .map((cells) => cells.map(cell).join(',') + '\r\n')
    .join('')
}

export const toJson = (of: { panel: string; link: string; rows: readonly Row[] }): string =>
  JSON.stringify(of, null, 1) + '\n'

export function save(name: string, content: Blob): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(content)
  link.download = name
  link.click()
  // the browser reads it after this turn
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
