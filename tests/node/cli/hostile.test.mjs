// Names and texts of a file that a terminal would obey: none of them reaches it as it is.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lokahi, scratch, write } from './helper.mjs'

const markup = '<img src=x onerror=alert(1)>'
// Clears the screen, sets the title, goes back in the line, C1's way to say the same, turns letters around.
const evil = `${markup}\x1b[2J\x1b]0;title\x07\r\x9b2J\u202e\u2028\n`
const obeyed = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/

const factor = (shape) => ({ dtype: 'F32', shape, values: Array(shape[0] * shape[1]).fill(0.5) })
const lora = (module) => ({
  [`${module}.lora_down.weight`]: factor([2, 4]),
  [`${module}.lora_up.weight`]: factor([3, 2]),
})

test('control characters of names and metadata stay out of the terminal', async (t) => {
  const at = await scratch(t)
  const file = at('evil.safetensors')
  write(file, lora(`lora_unet_${evil}`), { [evil]: evil, ss_tag_frequency: tags })
  const broken = at('broken.safetensors')
  write(broken, { [`${evil}.nothing`]: factor([2, 4]) })
  const runs = [
    ['inspect', file],
    ['inspect', file, '--measure'],
    ['inspect', file, '--json'],
    ['metadata', file],
    ['metadata', file, '--json'],
    ['resize', file, '--rank', '1', '-o', at('out')],
    ['convert', file, '--to', 'peft', '-o', at('out2')],
    ['inspect', broken],
    ['merge', evil.replaceAll('/', ''), file, '-o', at('out3')],
    [evil],
    ['inspect', file, '--dora-axis', evil],
  ]
  let seen = 0
  for (const args of runs) {
    const { stdout, stderr } = await lokahi(...args)
    const said = stdout + stderr
    assert.doesNotMatch(said, obeyed, JSON.stringify([args, said]))
    seen += said.includes(markup)
    if (args.includes('--json')) JSON.parse(stdout)
  }
  // As text it is there.
  assert.equal(seen, runs.length)
})

const tags = JSON.stringify({ folder: { [evil]: 3 } })
