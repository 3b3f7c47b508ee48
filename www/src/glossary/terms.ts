/** The terms of the glossary, and the words of the page's texts that lead to them. */

import type { Language } from '../i18n/index.svelte'

export const TERMS = [
  'adapter',
  'base',
  'delta',
  'factors',
  'scale',
  'alpha',
  'strength',
  'merged',
  'rank',
  'bound',
  'numerical',
  'stable',
  'entropy',
  'singular',
  'hadamard',
  'kronecker',
  'code',
  'loss',
  'seed',
] as const
export type Term = (typeof TERMS)[number]

const WORDS: Record<Language, Partial<Record<Term, readonly string[]>>> = {
  en: {
    adapter: ['adapters', 'an adapter', 'adapter'],
    delta: ['The change', 'the change', 'change of it'],
    factors: ['numbers in the file'],
    rank: ['highest rank', 'rank-one'],
    bound: ['higher bound'],
    merged: ['Merged', 'Unmerged'],
    hadamard: ['cell by cell', 'entry by entry'],
    kronecker: ['copies of one small matrix', 'a copy of one block'],
    singular: ['singular values'],
    loss: ['Loss'],
    seed: ['two seeds'],
  },
  ko: {
    adapter: ['어댑터'],
    delta: ['변화량', '변화'],
    factors: ['파일에 든 숫자'],
    rank: ['최대 랭크', '랭크 1'],
    bound: ['상한'],
    merged: ['병합'],
    hadamard: ['칸끼리', '원소끼리'],
    kronecker: ['작은 행렬의 사본', '블록의 사본'],
    singular: ['특잇값'],
    loss: ['손실'],
    seed: ['시드 둘'],
  },
}

export interface Piece {
  text: string
  term: Term | null
}

/** A text in pieces: the first place of each of the terms leads to the glossary. */
export function pieces(text: string, terms: readonly Term[], language: Language): Piece[] {
  const found = terms
    .flatMap((term) => {
      const word = WORDS[language][term]?.find((word) => text.includes(word))
      return word ? [{ term, word, at: text.indexOf(word) }] : []
    })
    .sort((a, b) => a.at - b.at)
  const all: Piece[] = []
  let end = 0
  for (const { term, word, at } of found) {
    if (at < end) continue
    all.push({ text: text.slice(end, at), term: null }, { text: word, term })
    end = at + word.length
  }
  return [...all, { text: text.slice(end), term: null }].filter(({ text }) => text)
}
