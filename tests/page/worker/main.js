// What the worker says, for the test to read.
const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
window.said = new Promise((resolve, reject) => {
  worker.onmessage = ({ data }) => resolve(data)
  worker.onerror = ({ message }) => reject(new Error(message))
})
