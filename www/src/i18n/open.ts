import { language } from './index.svelte'
import { en, type OpenMessages } from './open.en'
import { ko } from './open.ko'

const MESSAGES = { en, ko }

/** The messages of "Open your file", which are fetched with it. */
export const o = (): OpenMessages => MESSAGES[language()]
