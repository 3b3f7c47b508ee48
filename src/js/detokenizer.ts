/** Marks bytes that are no character, or not yet. */
const REPLACEMENT = '\ufffd'

/**
 * Ids to text, piece by piece: all pieces together are what decoding all ids at once gives. A
 * character of several tokens is told when it is whole.
 *
 * How a token reads may depend on those before it. It is decoded behind those of the last piece, so
 * a step costs the same wherever it is in a text.
 */
export class Detokenizer {
  readonly #decode: (ids: readonly number[]) => string
  /** The tokens of the last piece, and those behind it. */
  #ids: number[] = []
  /** How many of them the last piece had. */
  #last = 0
  /** How much of their text is told. */
  #told = 0

  constructor(decode: (ids: readonly number[]) => string) {
    this.#decode = decode
  }

  /** The text that this token makes whole; empty where it ends inside of a character. */
  push(id: number): string {
    this.#ids.push(id)
    const text = this.#decode(this.#ids)
    const end = text.endsWith(REPLACEMENT) ? text.length - 1 : text.length
    const piece = text.slice(this.#told, end)
    if (!piece) return ''
    this.#told = end
    if (end === text.length) {
      this.#ids.splice(0, this.#last)
      this.#last = this.#ids.length
      this.#told = this.#decode(this.#ids).length
    }
    return piece
  }

  /** What is left at the end: bytes that never became a character. */
  end(): string {
    return this.#decode(this.#ids).slice(this.#told)
  }
}
