/** NPY files as bytes, for NumPy to load. Left out: complex numbers, text, and other orders than rows. */
import {
  formatShape,
  formatValue,
  requireList,
  requireOneOf,
  requireRecord,
  ShapeError,
  ValueError,
} from '@invnet/tensor';
import type { HostArray } from './host-array.ts';
import type { NumericData } from './numeric-data.ts';

/** Types of numbers, by NumPy's names for them. */
export type NpyType = (typeof types)[number][0];

const types = [
  ['uint8', '|u1', Uint8Array],
  ['int8', '|i1', Int8Array],
  ['uint16', '<u2', Uint16Array],
  ['int16', '<i2', Int16Array],
  ['uint32', '<u4', Uint32Array],
  ['int32', '<i4', Int32Array],
  ['uint64', '<u8', BigUint64Array],
  ['int64', '<i8', BigInt64Array],
  ['float32', '<f4', Float32Array],
  ['float64', '<f8', Float64Array],
] as const;

/**
 * The bytes of an NPY file of an array: little-endian, row-major, of the type of its numbers.
 *
 * @throws ValueError for what is no array of numbers. @throws ShapeError for a shape that they do not fill.
 * @example
 * await writeFile('samples.npy', writeNpy({ shape: [1000, 2], data: await samples.data() }));
 * // numpy.load('samples.npy'): float32, (1000, 2)
 */
export function writeNpy(
  array: HostArray | { readonly shape: readonly number[]; readonly data: NumericData },
): Uint8Array<ArrayBuffer> {
  requireRecord('writeNpy', 'the array', array, '{ shape, data }');
  const { shape, data } = array;
  const type = types.find(([, , Type]) => data instanceof Type);
  if (!type) {
    throw new ValueError(
      `writeNpy: data are ${formatValue(data)}; expected a typed array, such as a Float32Array.`,
    );
  }
  const header = npyHeader(shape, type[0]);
  const count = shape.reduce((a, b) => a * b, 1);
  if (count !== data.length) {
    throw new ShapeError(
      `writeNpy: ${data.length} numbers do not fill shape ${formatShape(shape)}, which needs ${count}.`,
    );
  }
  const bytes = new Uint8Array(header.length + data.byteLength);
  bytes.set(header);
  bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), header.length);
  return bytes;
}

/**
 * The header of an NPY file alone. Behind it go the numbers, row-major and little-endian, as the bytes of typed arrays
 * are: so a file larger than memory is written in parts.
 *
 * @throws ShapeError for sizes that are no whole numbers. @throws ValueError for an unknown type.
 * @example
 * await handle.write(npyHeader([10_000_000, 10], 'float32'));
 * for (const rows of parts) await handle.write(rows); // Float32Arrays
 */
export function npyHeader(shape: readonly number[], type: NpyType): Uint8Array<ArrayBuffer> {
  const names = types.map(([name]) => name);
  requireOneOf('npyHeader', 'type', type, names);
  const descr = types[names.indexOf(type)]![1];
  requireList('npyHeader', 'shape', shape, 'whole numbers');
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw new ShapeError(
      `npyHeader: shape is ${formatShape(shape)}; expected whole numbers of at least 0.`,
    );
  }
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sizes}), }`;
  // Numbers start at a multiple of 64, as NumPy has them.
  const size = Math.ceil((10 + text.length + 1) / 64) * 64;
  const header = new TextEncoder().encode(`.NUMPY....${text.padEnd(size - 11)}\n`);
  header.set([0x93], 0);
  header.set([1, 0, (size - 10) & 255, (size - 10) >> 8], 6);
  return header;
}
