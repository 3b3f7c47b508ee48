import { language } from './index.svelte'
import { en, type MeasureMessages } from './measure.en'
import { ko } from './measure.ko'

const MESSAGES = { en, ko }

/** The messages of "Measure", which are fetched with it. */
export const m = (): MeasureMessages => MESSAGES[language()]
