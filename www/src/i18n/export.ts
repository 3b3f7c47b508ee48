import { en, type ExportMessages } from './export.en'
import { ko } from './export.ko'
import { language } from './index.svelte'

const MESSAGES = { en, ko }

/** The messages of sharing and exporting, which are fetched when they are asked for. */
export const out = (): ExportMessages => MESSAGES[language()]
