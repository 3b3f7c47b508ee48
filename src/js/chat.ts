import { LokahiError } from './errors.js'

/** A message of a chat, as templates take it. */
export interface ChatMessage {
  /** `system`, `user` or `assistant`. */
  role: string
  /** Its text. */
  content: string
  /** What else a template may read. */
  [key: string]: unknown
}

/** How to write a chat down. */
export interface ChatTemplateOptions {
  /** Begins the answer: the model goes on as the assistant. By default false. */
  addGenerationPrompt?: boolean
  /** More variables of the template, such as `tools` or `enable_thinking`. */
  variables?: Readonly<Record<string, unknown>>
}

/** `chat_template` of `tokenizer_config.json`: the text, or several by name. */
export type ChatTemplate =
  | string
  | readonly {
      /** As `default` or `tool_use`. */
      name: string
      /** In Jinja. */
      template: string
    }[]

/** The text of a chat by a template, which is written in Jinja. `tokens` are special ones by name. */
export async function renderChat(
  template: ChatTemplate,
  tokens: Readonly<Record<string, string>>,
  messages: readonly ChatMessage[],
  { addGenerationPrompt = false, variables = {} }: ChatTemplateOptions,
): Promise<string> {
  const source = defaultOf(template)
  // Only chats need it.
  const { Template } = await import('@huggingface/jinja')
  let parsed
  try {
    parsed = new Template(source)
  } catch (cause) {
    const got = (cause as Error).message
    throw new LokahiError('BadFile', `chat template: expected a Jinja template, got: ${got}`, {
      cause,
    })
  }
  try {
    const given = { messages, add_generation_prompt: addGenerationPrompt }
    return parsed.render({ ...tokens, ...variables, ...given })
  } catch (cause) {
    // A template refuses what it was not made for, such as two answers in a row.
    const said = (cause as Error).message
    throw new LokahiError('BadArgument', `messages: the chat template says: ${said}`, { cause })
  }
}

function defaultOf(template: ChatTemplate): string {
  if (typeof template === 'string') return template
  const found = template.find(({ name }) => name === 'default')
  if (found) return found.template
  const names = template.map(({ name }) => name).join(', ')
  throw new LokahiError('BadFile', `chat templates: expected one called default, got ${names}`)
}
