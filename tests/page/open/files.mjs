// Adapter files made here: many modules, names that a page must not obey, numbers that are none.
import { join } from 'node:path'
import { mkdirSync, writeFileSync } from 'node:fs'
import { encode, write } from '../../node/cli/helper.mjs'

/** The same numbers each time. */
function dice(seed) {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  }
}

const matrix = (next, rows, cols) => ({
  dtype: 'F32',
  shape: [rows, cols],
  data: encode('F32', Float32Array.from({ length: rows * cols }, next)),
})

/** The factors of a LoRA in kohya's names. */
function kohya(next, name, { out = 24, input = 16, r = 4, alpha = r } = {}) {
  const tensors = {
    [`${name}.lora_down.weight`]: matrix(next, r, input),
    [`${name}.lora_up.weight`]: matrix(next, out, r),
  }
  if (alpha !== null)
    tensors[`${name}.alpha`] = { dtype: 'F32', shape: [], data: encode('F32', [alpha]) }
  return tensors
}

/** Seven kinds of weights in each of `count / 7` layers. */
export function many(path, count, size) {
  const kinds = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']
  const next = dice(1)
  const tensors = {}
  for (let i = 0; i < count; i++) {
    const name = `model.layers.${Math.floor(i / 7)}.${kinds[i % 7]}`
    Object.assign(tensors, kohya(next, name, { ...size, r: 1 + (i % 8) }))
  }
  write(path, tensors)
}

/** No alpha, and one module with a number that is none. */
export function open(path) {
  const next = dice(2)
  const broken = kohya(next, 'model.layers.1.v_proj', { alpha: null })
  broken['model.layers.1.v_proj.lora_up.weight'].data.writeFloatLE(NaN, 0)
  write(path, { ...kohya(next, 'model.layers.0.q_proj', { alpha: null }), ...broken })
}

export const MARKUP = '<img src=x onerror="window.hacked=1"><script>window.hacked=2</script>'
export const TURN = '\u202egnp.exe'

/** Markup and marks that turn text around, wherever a file has words. */
export function hostile(path) {
  const next = dice(3)
  const bad = `model.layers.0.${MARKUP.replaceAll('.', '_')}${TURN}`
  const worse = `=cmd|'/c calc'!A1`
  write(
    path,
    { ...kohya(next, bad), ...kohya(next, worse, { alpha: null }) },
    { [MARKUP]: MARKUP, turned: TURN, long: MARKUP.repeat(40), __proto: 'x', constructor: 'y' },
  )
  return { bad, worse }
}

/** A folder as PEFT writes it, whose names have markup. */
export function hostilePeft(folder) {
  mkdirSync(folder)
  const next = dice(4)
  const module = `layers.0.<b onmouseover=alert(1)>q`
  const of = (name) => `base_model.model.${module}.${name}.weight`
  write(
    join(folder, 'adapter_model.safetensors'),
    { [of('lora_A')]: matrix(next, 4, 16), [of('lora_B')]: matrix(next, 24, 4) },
    { format: MARKUP },
  )
  const config = {
    peft_type: 'LORA',
    r: 4,
    lora_alpha: 8,
    target_modules: [module, MARKUP],
    [MARKUP]: MARKUP,
  }
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify(config))
  return { module }
}

/** A magnitude of DoRA that fits both sides of a square weight. */
export function square(path) {
  const next = dice(5)
  const name = 'model.layers.0.q_proj'
  const scale = { dtype: 'F32', shape: [16], data: encode('F32', Array(16).fill(1)) }
  write(path, { ...kohya(next, name, { out: 16 }), [`${name}.dora_scale`]: scale })
}
