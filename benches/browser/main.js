// Everything that the bench can do in a page; benches/run.mjs calls it.
import { model } from './model.js'

/** The files that were picked into the page's input. */
const picked = () => [...document.querySelector('input').files]

window.bench = { model: (options) => model({ ...options, files: picked() }) }
