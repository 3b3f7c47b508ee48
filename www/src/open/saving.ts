/** Files made here go to the visitor's disk; none goes anywhere else. */

import type { Files } from 'lokahi'

/** Long enough for a browser that asks where to put it. */
const KEPT_MS = 60_000

export function download(name: string, content: Uint8Array | string, type: string): void {
  const url = URL.createObjectURL(new Blob([content as BlobPart], { type }))
  const anchor = document.createElement('a')
  anchor.href = url
  anchor.download = name
  anchor.click()
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS)
}

type Picker = (options: { mode: 'readwrite' }) => Promise<FileSystemDirectoryHandle>
const picker = (): Picker | undefined =>
  (window as { showDirectoryPicker?: Picker }).showDirectoryPicker

/** Whether this browser writes into a folder that the visitor picks. */
export const writesFolders = (): boolean => picker() !== undefined

/** Writes files into a folder that the visitor picks; `false` where they changed their mind. */
export async function saveInto(files: Files): Promise<boolean> {
  let folder: FileSystemDirectoryHandle
  try {
    folder = await picker()!.call(window, { mode: 'readwrite' })
  } catch (error) {
    if ((error as Error).name === 'AbortError') return false
    throw error
  }
  for (const [name, bytes] of Object.entries(files)) {
    const file = await folder.getFileHandle(name, { create: true })
    const writable = await file.createWritable()
    await writable.write(bytes as BufferSource)
    await writable.close()
  }
  return true
}
