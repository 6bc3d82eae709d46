import { expect, test } from 'vitest';
import { onnxModel } from '../src/peers/onnx-model.ts';

/** Fields of a protobuf message, by number: whole numbers, or bytes. */
function decode(bytes: Uint8Array): Map<number, (number | Uint8Array)[]> {
  const fields = new Map<number, (number | Uint8Array)[]>();
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const value = varint();
    const isBytes = (key & 7) === 2;
    const entry = isBytes ? bytes.subarray(at, at + value) : value;
    if (isBytes) at += value;
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), entry]);
  }
  return fields;
}

const inside = (x: number | Uint8Array | undefined) => decode(x as Uint8Array);
const text = (x: number | Uint8Array | undefined) => new TextDecoder().decode(x as Uint8Array);

test('is a graph of one node, with shapes and attributes', () => {
  const inputs = [
    [8, 64, 300, 5],
    [7, 64, 3, 3],
  ];
  const weights = Float32Array.from({ length: 7 * 64 * 9 }, (_, i) => i / 2);
  const model = decode(
    onnxModel({
      type: 'Conv',
      inputs,
      weights,
      output: [8, 7, 300, 5],
      attributes: { pads: [1, 1, 1, 1] },
    }),
  );
  const graph = inside(model.get(7)![0]);
  const node = inside(graph.get(1)![0]);
  expect(node.get(1)!.map(text)).toEqual(['x0', 'x1']);
  expect(text(node.get(4)![0])).toBe('Conv');
  const attribute = inside(node.get(5)![0]);
  expect(text(attribute.get(1)![0])).toBe('pads');
  expect(attribute.get(8)).toEqual([1, 1, 1, 1]);
  const sizes = graph.get(11)!.map((value) => {
    const tensor = inside(inside(inside(value).get(2)![0]).get(1)![0]);
    return inside(tensor.get(2)![0])
      .get(1)!
      .map((dim) => inside(dim).get(1)![0]);
  });
  expect(sizes).toEqual([inputs[0]]);
  const constant = inside(graph.get(5)![0]);
  expect(constant.get(1)).toEqual(inputs[1]);
  expect(text(constant.get(8)![0])).toBe('x1');
  const bytes = Uint8Array.from(constant.get(9)![0] as Uint8Array);
  expect(new Float32Array(bytes.buffer)).toEqual(weights);
});
