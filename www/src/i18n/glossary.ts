import { en, type GlossaryMessages } from './glossary.en'
import { ko } from './glossary.ko'
import { language } from './index.svelte'

const MESSAGES = { en, ko }

/** The glossary, which is fetched with its part or with the first term that is asked for. */
export const glossary = (): GlossaryMessages => MESSAGES[language()]
