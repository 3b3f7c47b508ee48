import { en, type Messages } from './en'
import { ko } from './ko'

export type Language = 'en' | 'ko'
const MESSAGES: Record<Language, Messages> = { en, ko }

const current = $state<{ language: Language }>({ language: 'en' })

export const ofBrowser = (): Language =>
  (navigator.languages ?? [navigator.language]).find((l) => /^(en|ko)\b/.test(l))?.startsWith('ko')
    ? 'ko'
    : 'en'

export function speak(language: Language): void {
  current.language = language
  document.documentElement.lang = language
  document.title = MESSAGES[language].title
}

/** The messages of the current language; reading them in a component follows the switch. */
export const t = (): Messages => MESSAGES[current.language]

/** For texts that are loaded with their part. */
export const language = (): Language => current.language
