/** The numbers in the tour's words, from the same sources as the page's figures. */

import { find, settingsOf, spread } from '../lab/budget/sweep'
import { countLoha, countLokr, countLora, shares } from '../lab/maths/count'
import { LAB, lokrOptions } from '../lab/settings'
import { fixed, thousands } from '../state/numbers'
import { COUNTED, EVEN, STEPS } from './steps'

const words = ({ numbers, bound }: { numbers: number; bound: number }) => ({
  numbers: thousands(numbers),
  bound: thousands(bound),
})

export function said() {
  const { size, layers, ...products } = { ...LAB, ...STEPS.lokr.lab }
  const small = [size, size] as const
  const w1 = countLokr(small, layers, lokrOptions({ ...products, size, layers })).boundTerms
  const square = [COUNTED.out, COUNTED.in] as const
  const even = shares(square, EVEN, 'budget', lokrOptions(LAB))
  const names = settingsOf('it')
  const [two, eight] = [find(names, 'lora', 2)!, find(names, 'lora', 8)!]
  return {
    r: layers,
    layers: layers * layers,
    /** the two factors' highest ranks */
    terms: w1.map((terms) => Math.min(...terms)),
    side: thousands(COUNTED.out),
    countedR: COUNTED.r,
    lora: words(countLora(square, COUNTED.r)),
    loha: words(countLoha(square, COUNTED.r)),
    lokr: words(countLokr(square, COUNTED.r, lokrOptions(LAB))),
    /** LoHa's cheapest full rank: the smallest r whose square reaches the side */
    lohaFull: words(countLoha(square, Math.ceil(Math.sqrt(COUNTED.out)))),
    even: { r: EVEN, loraR: even.lora.r, bound: even.lora.count.bound },
    two: { numbers: thousands(two.numbers), loss: fixed(two.mean, 3) },
    eight: { numbers: thousands(eight.numbers), loss: fixed(eight.mean, 3) },
    times: eight.numbers / two.numbers,
    gain: fixed(two.mean - eight.mean, 3),
    noise: fixed(spread(names), 3),
  }
}
export type Said = ReturnType<typeof said>
