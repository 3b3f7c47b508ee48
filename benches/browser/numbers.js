// Random matrices, the factors that adapters are made of, and their products in f64. A matrix is
// `{ shape, data }`, row-major.

/** Numbers from a seed, uniform with a variance (mulberry32). */
export function random(seed) {
  const next = () => {
    seed = (seed + 0x6d2b79f5) | 0
    let bits = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
  return (shape, variance) => {
    const most = Math.sqrt(3 * variance)
    const data = Float32Array.from({ length: shape[0] * shape[1] }, () => (2 * next() - 1) * most)
    return { shape, data }
  }
}

/** As near to square as can be, or by a factor that divides: `factorize` of PEFT. */
function split(size, factor) {
  if (factor > 0) return [factor, size / factor]
  let smaller = Math.floor(Math.sqrt(size))
  while (size % smaller) smaller--
  return [smaller, size / smaller]
}

/** Factors by method, for a weight `[out, in]`. Numbers of `dW x` are about as large as those of `x`. */
const factors = {
  lora: (matrix, [out, inputs], { rank }) => ({
    a: matrix([rank, inputs], 1 / inputs),
    b: matrix([out, rank], 1 / rank),
  }),
  loha: (matrix, [out, inputs], { rank }) => ({
    w1_a: matrix([out, rank], 1 / rank),
    w1_b: matrix([rank, inputs], inputs ** -0.5),
    w2_a: matrix([out, rank], 1 / rank),
    w2_b: matrix([rank, inputs], inputs ** -0.5),
  }),
  lokr: (matrix, shape, { factor }) => {
    const [[ol, ok], [im, in_n]] = shape.map((size) => split(size, factor))
    return { w1: matrix([ol, im], 1 / im), w2: matrix([ok, in_n], 1 / in_n) }
  },
}

export function factorsOf(kind, shape, matrix) {
  return kind.method ? factors[kind.method](matrix, shape, kind) : {}
}

/** Number `j` of row `i` of `dW`, by method. */
const changes = {
  lora: ({ a, b }) => along(b, a),
  loha: ({ w1_a, w1_b, w2_a, w2_b }) => {
    const [first, second] = [along(w1_a, w1_b), along(w2_a, w2_b)]
    return (i, j) => first(i, j) * second(i, j)
  },
  lokr: ({ w1, w2 }) => {
    const [[, im], [ok, in_n]] = [w1.shape, w2.shape]
    return (i, j) =>
      w1.data[Math.floor(i / ok) * im + Math.floor(j / in_n)] *
      w2.data[(i % ok) * in_n + (j % in_n)]
  },
}

/** One number of a product `[rows, rank] [rank, columns]`. */
function along(left, right) {
  const [rank, columns] = right.shape
  return (i, j) => {
    let sum = 0
    for (let k = 0; k < rank; k++) sum += left.data[i * rank + k] * right.data[k * columns + j]
    return sum
  }
}

/** `y` in f64 at some of its columns, by the whole `W + dW`, of which either may be missing. */
export function expected({ method, x, weight, factors }, outputs) {
  const [rows, inputs] = x.shape
  const change = method ? changes[method](factors) : () => 0
  const y = new Float64Array(rows * outputs.length)
  for (const [at, i] of outputs.entries()) {
    const row = Float64Array.from(
      { length: inputs },
      (_, j) => (weight ? weight.data[i * inputs + j] : 0) + change(i, j),
    )
    for (let t = 0; t < rows; t++) {
      let sum = 0
      for (let j = 0; j < inputs; j++) sum += row[j] * x.data[t * inputs + j]
      y[t * outputs.length + at] = sum
    }
  }
  return y
}

/** The largest difference at these columns of `y` `[rows, out]`, as a share of the largest number. */
export function deviation(y, want, outputs, out) {
  let [worst, largest] = [0, 0]
  for (const [at, value] of want.entries()) {
    const got = y[Math.floor(at / outputs.length) * out + outputs[at % outputs.length]]
    const off = Math.abs(got - value)
    // What is no number differs by all there is.
    worst = Math.max(worst, Number.isFinite(off) ? off : Infinity)
    largest = Math.max(largest, Math.abs(value))
  }
  return worst / largest
}
