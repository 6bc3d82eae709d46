import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import { expect, test } from 'vitest';
import { onnxModel } from '../src/peers/onnx-model.ts';

test('is a graph of one node, with shapes and attributes', () => {
  const inputs = [
    [8, 64, 300, 5],
    [7, 64, 3, 3],
  ];
  const weights = Float32Array.from({ length: 7 * 64 * 9 }, (_, i) => i / 2);
  const attributes = { pads: [1, 1, 1, 1] };
  const bytes = onnxModel({ type: 'Conv', inputs, weights, output: [8, 7, 300, 5], attributes });
  const { node, input, initializer } = fromBinary(ModelProtoSchema, bytes).graph!;
  expect(node).toMatchObject([
    {
      opType: 'Conv',
      input: ['x0', 'x1'],
      output: ['y'],
      attribute: [{ name: 'pads', ints: [1n, 1n, 1n, 1n] }],
    },
  ]);
  const dim = inputs[0]!.map((size) => ({ value: { value: BigInt(size) } }));
  expect(input).toMatchObject([{ type: { value: { value: { shape: { dim } } } } }]);
  expect(initializer).toMatchObject([{ name: 'x1', dims: inputs[1]!.map(BigInt) }]);
  expect(new Float32Array(Uint8Array.from(initializer[0]!.rawData).buffer)).toEqual(weights);
});
