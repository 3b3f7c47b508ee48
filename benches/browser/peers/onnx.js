// ONNX files as far as products need them, written by hand. The numbers of the fields are those of
// onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).

// Of tensors, then of an attribute.
const [FLOAT, INT64] = [1, 7]
const INT = 2

/** An unsigned number in groups of seven bits. */
function varint(value) {
  const bytes = []
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128)
  return Uint8Array.of(...bytes, value)
}

const number = (field, value) => [varint(field * 8), varint(value)]

const lengthOf = (parts) => parts.reduce((sum, part) => sum + part.length, 0)

/** Text, bytes or a message, which is a list of fields. */
function block(field, content) {
  const parts =
    typeof content === 'string' ? [new TextEncoder().encode(content)] : [content].flat(Infinity)
  return [varint(field * 8 + 2), varint(lengthOf(parts)), ...parts]
}

const value = ([name, shape]) => {
  const dimensions = shape.map((size) => block(1, number(1, size)))
  return [block(1, name), block(2, block(1, [number(1, FLOAT), block(2, dimensions)]))]
}

const constant = ([name, { shape, data }]) => [
  shape.map((size) => number(1, size)),
  number(2, FLOAT),
  block(8, name),
  block(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
]

/** For `Reshape`, whose second input is of whole numbers. */
const wholes = ([name, values]) => [
  number(1, values.length),
  number(2, INT64),
  block(8, name),
  block(9, new Uint8Array(BigInt64Array.from(values, BigInt).buffer)),
]

/**
 * A model of one graph. `nodes`: `[operator, inputs, output, attributes that are 1]`; `inputs` and `outputs`: shapes by name;
 * `constants`: `{ shape, data }` by name; `shapes`: whole numbers by name.
 */
export function model({ nodes, inputs, outputs, constants, shapes }) {
  const graph = [
    nodes.map(([operator, from, to, flags = []]) =>
      block(1, [
        from.map((name) => block(1, name)),
        block(2, to),
        block(4, operator),
        flags.map((name) => block(5, [block(1, name), number(3, 1), number(20, INT)])),
      ]),
    ),
    block(2, 'product'),
    ...Object.entries(constants).map((each) => block(5, constant(each))),
    ...Object.entries(shapes).map((each) => block(5, wholes(each))),
    ...Object.entries(inputs).map((each) => block(11, value(each))),
    ...Object.entries(outputs).map((each) => block(12, value(each))),
  ]
  // IR version 8 and operators 17, which every onnxruntime of today reads.
  const opset = [block(1, ''), number(2, 17)]
  const parts = [number(1, 8), block(7, graph), block(8, opset)].flat(Infinity)
  const file = new Uint8Array(lengthOf(parts))
  let at = 0
  for (const part of parts) {
    file.set(part, at)
    at += part.length
  }
  return file
}
