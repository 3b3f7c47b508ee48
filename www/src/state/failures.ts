/** What failed, for the visitor. */

import type { Messages } from '../i18n/en'

export interface Failure {
  at: keyof Messages['failure']
  code: string
  message: string
}

export function failureOf(at: Failure['at'], error: unknown): Failure {
  const code = (error as { code?: unknown } | null)?.code
  const known = error instanceof Error
  return {
    at,
    code: typeof code === 'string' ? code : known ? error.name : 'Error',
    message: known ? error.message : String(error),
  }
}
