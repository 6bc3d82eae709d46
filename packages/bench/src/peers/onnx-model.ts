/**
 * ONNX models of one operator, as protobuf bytes (onnx.proto3 has the field numbers), whose last
 * operand is a constant of the model.
 *
 * Left out: everything else of ONNX, and reading.
 */

/** One operator with attributes of whole numbers, its operands and its result by their shapes. */
export interface OnnxOperator {
  readonly type: string;
  readonly inputs: readonly (readonly number[])[];
  /** The numbers of the last operand, which the library may rearrange before it runs. */
  readonly weights: Float32Array;
  readonly output: readonly number[];
  readonly attributes?: Readonly<Record<string, readonly number[]>>;
}

const FLOAT = 1;
const INTS = 7;
const IR_VERSION = 8;
const OPSET = 13;

/**
 * The model's bytes; operands are named x0, x1, …, the output y.
 *
 * @example onnxModel({ type: 'MatMul', inputs: [[2, 3], [3, 4]], weights, output: [2, 4] })
 */
export function onnxModel(operator: OnnxOperator): Uint8Array {
  const { type, inputs, weights, output, attributes = {} } = operator;
  const last = inputs.length - 1;
  const names = inputs.map((_, i) => `x${i}`);
  const node = [
    ...names.flatMap((name) => text(1, name)),
    ...text(2, 'y'),
    ...text(4, type),
    ...Object.entries(attributes).flatMap(([name, values]) =>
      message(5, [
        ...text(1, name),
        ...values.flatMap((value) => number(8, value)),
        ...number(20, INTS),
      ]),
    ),
  ];
  const graph = [
    ...message(1, node),
    ...text(2, 'graph'),
    ...message(5, constant(names[last]!, inputs[last]!, weights)),
    ...inputs.slice(0, last).flatMap((shape, i) => message(11, value(names[i]!, shape))),
    ...message(12, value('y', output)),
  ];
  const opset = [...text(1, ''), ...number(2, OPSET)];
  return Uint8Array.from([...number(1, IR_VERSION), ...message(7, graph), ...message(8, opset)]);
}

/** ValueInfoProto: a name, and a tensor's type. */
function value(name: string, shape: readonly number[]): number[] {
  const sizes = shape.flatMap((size) => message(1, number(1, size)));
  return [...text(1, name), ...message(2, message(1, [...number(1, FLOAT), ...message(2, sizes)]))];
}

/** TensorProto: sizes, a name, and the numbers as they lie in memory. */
function constant(name: string, shape: readonly number[], values: Float32Array): number[] {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const sizes = shape.flatMap((size) => number(1, size));
  return [...sizes, ...number(2, FLOAT), ...text(8, name), ...message(9, Array.from(bytes))];
}

/** A field of the wire type `varint`. */
function number(field: number, value: number): number[] {
  return [...varint(field * 8), ...varint(value)];
}

/** A field of bytes with their count before them. */
function message(field: number, bytes: readonly number[]): number[] {
  return [...varint(field * 8 + 2), ...varint(bytes.length), ...bytes];
}

function text(field: number, value: string): number[] {
  return message(field, [...new TextEncoder().encode(value)]);
}

/** Seven bits a byte, lowest first; all bytes but the last have the eighth bit set. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest & 127) | 128);
    rest = Math.floor(rest / 128);
  }
  return [...bytes, rest];
}
