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
    ['a file of torch.save', new TextEncoder().encode('PK\x03\x04 and more of it'), /a ZIP file/],
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
      'a size of half bytes',
      file({ a: entry([3], 0, 2, 'F4') }, 2),
      /gives 'a' 2 bytes; F4 of shape \[3\] needs 1\.5/,
    ],
    ['an offset that goes back', file({ a: entry([1], 4, 0, 'F2') }, 0), /gives 'a' -4 bytes/],
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

  it('reads headers as the reader of the format does', () => {
    const { w, ...others } = { w: entry([0], 0, 0), x: entry([], 0, 4) };
    for (const header of [
      { __metadata__: null, w, ...others },
      { w: { ...w, note: 'from a converter' }, ...others },
      `\n\t ${JSON.stringify({ w, ...others })}  `,
    ]) {
      const { tensors, metadata } = readSafetensors(file(header, 4));
      expect(metadata).toEqual({});
      expect(Object.fromEntries(tensors)).toEqual({
        w: { shape: [0], data: Float32Array.of() },
        x: { shape: [], data: Float32Array.of(0) },
      });
    }
    for (const header of [' ', '[]', 'null', '{}{}', '\uFEFF{}']) {
      expect(() => readSafetensors(file(header, 0))).toThrow(SafetensorsFormatError);
    }
  });

  it('reads the types of the format as floats that hold them exactly', () => {
    const [nan, inf] = [Number.NaN, Number.POSITIVE_INFINITY];
    const least = Number.MIN_SAFE_INTEGER;
    // Codes as they stand in files, and what they mean by the definitions of the types.
    const types: Record<string, [NodeJS.TypedArray, number[]]> = {
      F16: [
        Uint16Array.of(
          0x3e00,
          0xc000,
          0x8000,
          0x0001,
          0x03ff,
          0x0400,
          0x7bff,
          0x7c00,
          0xfc00,
          0x7e01,
        ),
        [1.5, -2, -0, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 65504, inf, -inf, nan],
      ],
      BF16: [
        Uint16Array.of(0x3fc0, 0xc000, 0x8000, 0x0001, 0x7f80, 0xff80, 0x7fc0),
        [1.5, -2, -0, 2 ** -133, inf, -inf, nan],
      ],
      F8_E5M2: [
        Uint8Array.of(0x3e, 0xc0, 0x80, 0x01, 0x7b, 0x7c, 0xfc, 0x7d),
        [1.5, -2, -0, 2 ** -16, 57344, inf, -inf, nan],
      ],
      F8_E4M3: [
        Uint8Array.of(0x3c, 0xc0, 0x80, 0x01, 0x7e, 0xfe, 0x7f, 0xff),
        [1.5, -2, -0, 2 ** -9, 448, -448, nan, nan],
      ],
      F8_E4M3FNUZ: [Uint8Array.of(0x44, 0xc8, 0x01, 0x7f, 0x80), [1.5, -2, 2 ** -10, 240, nan]],
      F8_E5M2FNUZ: [Uint8Array.of(0x42, 0xc4, 0x01, 0x7f, 0x80), [1.5, -2, 2 ** -17, 57344, nan]],
      F8_E8M0: [Uint8Array.of(0, 127, 254, 255), [2 ** -127, 1, 2 ** 127, nan]],
      BOOL: [Uint8Array.of(0, 1, 7), [0, 1, 1]],
      U8: [Uint8Array.of(0, 255), [0, 255]],
      I8: [Int8Array.of(-128, 127), [-128, 127]],
      U16: [Uint16Array.of(65535), [65535]],
      I16: [Int16Array.of(-32768, 1), [-32768, 1]],
      U32: [Uint32Array.of(2 ** 32 - 1), [2 ** 32 - 1]],
      I32: [Int32Array.of(-(2 ** 31), 16777217), [-(2 ** 31), 16777217]],
      U64: [BigUint64Array.of(2n ** 53n - 1n), [2 ** 53 - 1]],
      I64: [BigInt64Array.of(BigInt(least), -1n), [least, -1]],
      F32: [Float32Array.of(1.1, nan), [Math.fround(1.1), nan]],
      F64: [Float64Array.of(1.1, -inf), [1.1, -inf]],
    };
    for (const [dtype, [codes, numbers]] of Object.entries(types)) {
      const bytes = file(
        { a: entry([numbers.length], 0, codes.byteLength, dtype) },
        codes.byteLength,
      );
      bytes.set(new Uint8Array(codes.buffer), bytes.length - codes.byteLength);
      const { data } = readSafetensors(bytes).tensors.get('a')!;
      expect([dtype, ...data]).toEqual([dtype, ...numbers]);
      expect(data).toBeInstanceOf(/^[IU](32|64)|F64/.test(dtype) ? Float64Array : Float32Array);
    }
  });

  it('leaves what floats cannot hold to whoever asks for it by name', () => {
    const header = {
      w: entry([1], 0, 4),
      large: entry([1], 4, 12, 'U64'),
      complex: entry([1], 12, 20, 'C64'),
      packed: entry([2, 2], 20, 22, 'F4'),
      future: entry([3], 22, 23, 'F2'),
    };
    const bytes = file(header, 23);
    bytes.fill(255, bytes.length - 19);
    const { tensors } = readSafetensors(bytes, 'x.safetensors');
    expect([...tensors.keys()]).toEqual(Object.keys(header));
    expect(tensors.get('w')!.data).toEqual(Float32Array.of(0));
    for (const [name, { dtype, shape }] of Object.entries(header).slice(1)) {
      expect(tensors.get(name)!.shape).toEqual(shape);
      const ask = () => tensors.get(name)!.data;
      expect(ask).toThrow(SafetensorsFormatError);
      expect(ask).toThrow(
        `x.safetensors holds '${name}' as ${dtype}, which cannot be read as floats`,
      );
    }
  });

  it.each<[string, unknown, RegExp]>([
    [
      'numbers that do not fill a shape',
      { shape: [3] },
      /"a" has 2 numbers for shape \[3\]; expected 3/,
    ],
    ['a negative shape', { shape: [-1, -2] }, /the shape \[-1, -2\]; expected whole numbers/],
    ['a fractional shape', { shape: [0.5, 4] }, /the shape \[0\.5, 4\]/],
    ['a shape of text', { shape: '2' }, /the shape "2"/],
    ['no shape', { shape: undefined }, /the shape of type undefined/],
    ['integers', { data: Int32Array.of(1, 2) }, /data of another kind; expected a Float32Array/],
    ['bytes', { data: Uint8Array.of(1, 2) }, /data of another kind/],
    ['BigInts', { data: BigInt64Array.of(1n, 2n) }, /data of another kind/],
    ['a plain array', { data: [1, 2] }, /data of another kind/],
    ['bare memory', { data: new ArrayBuffer(8) }, /data of another kind/],
    ['no data', { data: undefined }, /data of another kind/],
    ['the reserved name', { name: '__metadata__' }, /"__metadata__" cannot be a name/],
    ['a number for a name', { name: 5 }, /of type number cannot be a name/],
    ['half of a surrogate pair', { name: 'a\ud800' }, /"a\\ud800" cannot be a name/],
    ['a number as metadata', { metadata: { step: 5 } }, /metadata "step" is of type number/],
    ['a BigInt as metadata', { metadata: { step: 5n } }, /metadata "step" is of type bigint/],
    ['null as metadata', { metadata: { step: null } }, /metadata "step" is null/],
    ['half a pair as metadata', { metadata: { step: '\udc00' } }, /metadata "step" is "\\udc00"/],
    ['a Map of metadata', { metadata: new Map([['step', '5']]) }, /metadata is no record/],
    ['a list of metadata', { metadata: ['5'] }, /metadata is no record/],
    ['no metadata', { metadata: null }, /metadata is no record/],
  ])('refuses to write %s', (_, spoiled, message) => {
    const good = { name: 'a', shape: [2], data: Float32Array.of(1, 2), metadata: { step: '5' } };
    const { name, metadata, ...tensor } = { ...good, ...(spoiled as typeof good) };
    const write = () => writeSafetensors({ tensors: new Map([[name, tensor]]), metadata });
    expect(write).toThrow(ValueError);
    expect(write).toThrow(message);
  });
});
