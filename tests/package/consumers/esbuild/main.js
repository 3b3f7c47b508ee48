import * as lokahi from 'lokahi'
import wasm from 'lokahi/lokahi.wasm'
import toolsWasm from 'lokahi/lokahi_tools.wasm'
import { golden } from './golden.js'

// esbuild gives addresses from its output folder.
const at = (file) => new URL(file, import.meta.url)
const start = lokahi.init({ device: 'cpu', wasm: at(wasm), toolsWasm: at(toolsWasm) })
window.result = start.then(() => golden(lokahi, './places'))
