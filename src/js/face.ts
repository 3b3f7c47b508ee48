/** What every entry of the package exports. */
export {
  Adapter,
  type AdapterModule,
  type AdapterOptions,
  type AdapterWarning,
  type Conventions,
  type Finding,
  type Inspection,
  type Method,
  type Spectrum,
  type WholeTensor,
} from './adapter.js'
export { Base } from './base.js'
export { init, type Backend, type Engine, type InitOptions } from './engine.js'
export { LokahiError, type ErrorCode } from './errors.js'
export {
  Model,
  type Compared,
  type Explained,
  type GenerateOptions,
  type Logits,
  type Mix,
  type ModelConfig,
  type ModelOptions,
} from './model.js'
export type { Integrity } from './integrity.js'
export type { Form, Plan } from './plan.js'
export type { WasmSource } from './platform.js'
export { Product, type ProductOptions } from './product.js'
export type { LoadOptions, Progress, Source, TaskOptions } from './source.js'
export { deleteCache, listCache, type Store, type Stored } from './store.js'
export {
  combine,
  merge,
  saveMetadata,
  type CombineOptions,
  type Files,
  type Format,
  type Merged,
  type MergeOptions,
  type Resized,
  type ResizedModule,
  type ResizeOptions,
  type Saved,
  type SaveOptions,
  type Sink,
} from './tools.js'
export type { ChatMessage, ChatTemplate, ChatTemplateOptions } from './chat.js'
export type { Detokenizer } from './detokenizer.js'
export { Tokenizer, type EncodeOptions } from './tokenizer.js'
