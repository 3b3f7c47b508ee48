import { language } from './index.svelte'
import { en, type LabMessages } from './lab.en'
import { ko } from './lab.ko'

const MESSAGES = { en, ko }

/** The lab's messages, which are fetched with its first part. */
export const l = (): LabMessages => MESSAGES[language()]
