import { describe, expect, it } from 'vitest';
import { IdxFormatError, parseIdx } from '../src/index.ts';

/** An IDX file of the given element type; `numbers` are its raw bytes. */
function idx(type: number, shape: number[], numbers: number[]): Uint8Array {
  const sizes = shape.flatMap((s) => [s >>> 24, (s >>> 16) & 255, (s >>> 8) & 255, s & 255]);
  return Uint8Array.from([0, 0, type, shape.length, ...sizes, ...numbers]);
}

describe('parseIdx', () => {
  it('reads bytes with their shape', () => {
    const { shape, data } = parseIdx(idx(8, [2, 3], [1, 2, 3, 4, 5, 255]));
    expect(shape).toEqual([2, 3]);
    expect(data).toEqual(Uint8Array.of(1, 2, 3, 4, 5, 255));
  });

  it('reads every element type, big-endian', () => {
    expect(parseIdx(idx(9, [2], [255, 1])).data).toEqual(Int8Array.of(-1, 1));
    expect(parseIdx(idx(11, [2], [1, 0, 255, 255])).data).toEqual(Int16Array.of(256, -1));
    expect(parseIdx(idx(12, [1], [0, 1, 0, 0])).data).toEqual(Int32Array.of(65536));
    expect(parseIdx(idx(13, [1], [0x3f, 0x80, 0, 0])).data).toEqual(Float32Array.of(1));
    expect(parseIdx(idx(14, [1], [0x3f, 0xf0, 0, 0, 0, 0, 0, 0])).data).toEqual(Float64Array.of(1));
  });

  it('reads a view into a larger buffer', () => {
    const file = idx(8, [2], [7, 8]);
    const padded = new Uint8Array(file.length + 10);
    padded.set(file, 5);
    expect(parseIdx(padded.subarray(5, 5 + file.length)).data).toEqual(Uint8Array.of(7, 8));
  });

  it.each([
    ['an empty file', new Uint8Array(0), /truncated: it has 0 bytes/],
    [
      'a header cut short',
      idx(8, [2, 3], []).subarray(0, 9),
      /truncated: it has 9 bytes, its header of rank 2 needs 12/,
    ],
    ['data cut short', idx(8, [2, 3], [1, 2]), /truncated.*\[2, 3\].*18 bytes.*has 14/],
    ['trailing bytes', idx(8, [2], [1, 2, 3]), /trailing bytes.*10 bytes.*has 11/],
    [
      'a PNG',
      Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10),
      /not an IDX file: it starts with 89 50 4e 47/,
    ],
    ['an unknown element type', idx(10, [1], [1]), /not an IDX file/],
    ['rank 0', idx(8, [], [1]), /not an IDX file/],
    ['gzip', Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0), /compressed with gzip/],
    ['sizes beyond any memory', idx(14, [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], []), /truncated/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => parseIdx(bytes, 'x.idx')).toThrow(IdxFormatError);
    expect(() => parseIdx(bytes, 'x.idx')).toThrow(message);
    expect(() => parseIdx(bytes, 'x.idx')).toThrow(/^parseIdx: x\.idx /);
  });
});
