import { ValueError } from '@invnet/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type HostTensor,
  readSafetensors,
  SafetensorsFormatError,
  writeSafetensors,
} from '../src/index.ts';

/** A file with this header, and this many zero bytes of numbers. */
function file(header: unknown, dataBytes: number): Uint8Array {
  const text = new TextEncoder().encode(
    typeof header === 'string' ? header : JSON.stringify(header),
  );
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const entry = (shape: number[], from: number, to: number, dtype = 'F32') => ({
  dtype,
  shape,
  data_offsets: [from, to],
});

describe('safetensors', () => {
  it('gives back what was written', () => {
    const array = fc.tuple(
      fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
      fc.boolean(),
      fc.double(),
    );
    const name = fc.string({ unit: 'binary' }).filter((s) => s !== '__metadata__');
    const metadata = fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, array)), metadata, (entries, strings) => {
        const tensors = new Map<string, HostTensor>();
        for (const [key, [shape, double, value]] of entries) {
          const size = shape.reduce((a, b) => a * b, 1);
          const numbers = Array.from({ length: size }, (_, i) => value + i);
          tensors.set(key, {
            shape,
            data: double ? Float64Array.from(numbers) : Float32Array.from(numbers),
          });
        }
        const bytes = writeSafetensors({ tensors, metadata: strings });
        const found = readSafetensors(bytes);
        expect(new Map([...found.tensors].sort())).toEqual(new Map([...tensors].sort()));
        expect(found.metadata).toEqual(strings);
      }),
      { seed: 1, numRuns: 100 },
    );
  });

  it('writes the format that others read', () => {
    const bytes = writeSafetensors({
      tensors: new Map<string, HostTensor>([
        ['a', { shape: [2], data: Float32Array.of(1, 2) }],
        ['b', { shape: [], data: Float64Array.of(3) }],
      ]),
      metadata: { step: '7' },
    });
    const view = new DataView(bytes.buffer);
    const length = Number(view.getBigUint64(0, true));
    expect((8 + length) % 8).toBe(0);
    expect(JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)))).toEqual({
      __metadata__: { step: '7' },
      a: entry([2], 8, 16),
      b: entry([], 0, 8, 'F64'),
    });
    expect(view.getFloat64(8 + length, true)).toBe(3);
    expect(view.getFloat32(8 + length + 12, true)).toBe(2);
  });

  it('reads a file from the middle of a buffer, aligned or not', () => {
    const bytes = writeSafetensors({
      tensors: new Map([['a', { shape: [1], data: Float64Array.of(5) }]]),
      metadata: {},
    });
    const larger = new Uint8Array(bytes.length + 3);
    larger.set(bytes, 3);
    for (const view of [larger.subarray(3), Buffer.from(larger).subarray(3)]) {
      expect(readSafetensors(view).tensors.get('a')?.data).toEqual(Float64Array.of(5));
    }
  });

  it('notices every truncation', () => {
    const bytes = writeSafetensors({
      tensors: new Map([['a', { shape: [4], data: new Float32Array(4) }]]),
      metadata: {},
    });
    for (let n = 0; n < bytes.length; n++) {
      expect(() => readSafetensors(bytes.subarray(0, n))).toThrow(SafetensorsFormatError);
    }
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(0), /not a whole safetensors file: it has 0 bytes/],
    ['a text', new TextEncoder().encode('Some text, and more of it.'), /not a safetensors file/],
    ['a header that is not JSON', file('{"a": }', 0), /header is not JSON/],
    [
      'bytes behind the end',
      file({ a: entry([1], 0, 4) }, 5),
      /trailing bytes.*describes 4 bytes.*has 5/,
    ],
    ['too few numbers', file({ a: entry([2], 0, 8) }, 4), /truncated.*describes 8 bytes.*has 4/],
    ['a gap', file({ a: entry([1], 4, 8) }, 8), /'a' at offset 4; expected 0/],
    [
      'an overlap',
      file({ a: entry([1], 0, 4), b: entry([1], 2, 6) }, 6),
      /'b' at offset 2; expected 4/,
    ],
    [
      'a size that contradicts the shape',
      file({ a: entry([3], 0, 8) }, 8),
      /gives 'a' 8 bytes; F32 of shape \[3\] needs 12/,
    ],
    [
      'an element type of others',
      file({ a: entry([1], 0, 2, 'BF16') }, 2),
      /'a' as BF16; this library reads F32 and F64/,
    ],
    [
      'an entry without a shape',
      file({ a: { dtype: 'F32' } }, 0),
      /without the dtype, shape and data_offsets of 'a'/,
    ],
    ['a negative offset', file({ a: entry([1], -4, 0) }, 0), /without the dtype, shape/],
    [
      'metadata that is not strings',
      file({ __metadata__: { step: 1 } }, 0),
      /not a map of strings/,
    ],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => readSafetensors(bytes, 'x.safetensors')).toThrow(SafetensorsFormatError);
    expect(() => readSafetensors(bytes, 'x.safetensors')).toThrow(message);
    expect(() => readSafetensors(bytes, 'x.safetensors')).toThrow(
      /^readSafetensors: x\.safetensors /,
    );
  });

  it('refuses to write what contradicts itself', () => {
    const write = (name: string, shape: number[]) =>
      writeSafetensors({
        tensors: new Map([[name, { shape, data: new Float32Array(2) }]]),
        metadata: {},
      });
    expect(() => write('a', [3])).toThrow(ValueError);
    expect(() => write('__metadata__', [2])).toThrow(/name other than __metadata__/);
  });
});
