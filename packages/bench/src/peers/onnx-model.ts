/** ONNX models of one operator, whose last operand is a constant of the model. */
import { create, toBinary } from '@bufbuild/protobuf';
import { AttributeProto_AttributeType, ModelProtoSchema, TensorProto_DataType } from 'onnx-buf';

/** One operator with attributes of whole numbers, its operands and its result by their shapes. */
export interface OnnxOperator {
  readonly type: string;
  readonly inputs: readonly (readonly number[])[];
  /** The numbers of the last operand, which the library may rearrange before it runs. */
  readonly weights: Float32Array;
  readonly output: readonly number[];
  readonly attributes?: Readonly<Record<string, readonly number[]>>;
}

/**
 * The model's bytes; operands are named x0, x1, …, the output y.
 *
 * @example onnxModel({ type: 'MatMul', inputs: [[2, 3], [3, 4]], weights, output: [2, 4] })
 */
export function onnxModel(operator: OnnxOperator): Uint8Array {
  const { type, inputs, weights, output, attributes = {} } = operator;
  const operands = inputs.map((sizes, i) => ({ name: `x${i}`, sizes }));
  const constant = operands.at(-1)!;
  const attribute = Object.entries(attributes).map(([name, values]) => ({
    name,
    type: AttributeProto_AttributeType.INTS,
    ints: values.map(BigInt),
  }));
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ version: 13n }],
    graph: {
      name: 'graph',
      node: [{ opType: type, input: operands.map(({ name }) => name), output: ['y'], attribute }],
      input: operands.slice(0, -1).map(({ name, sizes }) => valueInfo(name, sizes)),
      output: [valueInfo('y', output)],
      initializer: [
        {
          name: constant.name,
          dims: constant.sizes.map(BigInt),
          dataType: TensorProto_DataType.FLOAT,
          rawData: Uint8Array.from(
            new Uint8Array(weights.buffer, weights.byteOffset, weights.byteLength),
          ),
        },
      ],
    },
  });
  return toBinary(ModelProtoSchema, model);
}

/** A tensor's name and sizes. */
function valueInfo(name: string, sizes: readonly number[]) {
  const dim = sizes.map((size) => ({
    value: { case: 'dimValue' as const, value: BigInt(size) },
  }));
  const value = { elemType: TensorProto_DataType.FLOAT, shape: { dim } };
  return { name, type: { value: { case: 'tensorType' as const, value } } };
}
