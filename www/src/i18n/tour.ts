import { language } from './index.svelte'
import { en, type TourMessages } from './tour.en'
import { ko } from './tour.ko'

const MESSAGES = { en, ko }

/** The tour's messages, which are fetched with it. */
export const words = (): TourMessages => MESSAGES[language()]
