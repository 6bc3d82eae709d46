/**
 * The NPY format, in which NumPy saves an array: a mark, a version, a Python dictionary as text with the type, the
 * order and the shape, then the numbers.
 *
 * Written here, not by a library: npyjs neither puts Fortran order in rows nor reads big-endian numbers nor sees
 * that a file is cut short, and what is left of the format is that one line of text. Left out: archives of several
 * arrays, which are `npz.ts`, text, records and objects.
 */
import { requireBytes } from '@invnet/tensor';
import { type Fail, NpyFormatError, npyHeaderOf, npyNumbers } from './npy-format.ts';
import type { NumericData } from './numeric-data.ts';

export { NpyFormatError } from './npy-format.ts';
export type { NpyRowsOptions } from './npy-rows.ts';
export { npyRows } from './npy-rows.ts';
export type { NpyType } from './npy-write.ts';
export { npyHeader, writeNpy } from './npy-write.ts';
export type { NumericData } from './numeric-data.ts';

/** What an NPY file holds. */
export interface NpyArray {
  /** As NumPy says it; complex numbers have one size more, of 2: the real part and the imaginary one. */
  readonly shape: readonly number[];
  /** Row-major, whatever the file's order; a copy, independent of the file's bytes. */
  readonly data: NumericData;
}

/**
 * Reads a whole NPY file, of any version, byte order and order of axes. Truth values become bytes of 0 and 1, and
 * floats of 16 bits become such of 32.
 *
 * @param bytes - The file, not compressed.
 * @param name - What messages call it, such as the file's path.
 * @throws NpyFormatError for another kind of file, a truncated one, one with trailing bytes, or one that holds text,
 * records or objects. @throws ValueError for what is no Uint8Array.
 * @example
 * const { shape, data } = parseNpy(await readFile('cube.npy'));
 * // numpy.save('cube.npy', numpy.zeros((145, 145, 200), 'uint16')): shape [145, 145, 200], data Uint16Array
 */
export function parseNpy(bytes: Uint8Array, name = 'the file'): NpyArray {
  requireBytes('parseNpy', 'bytes', bytes);
  const fail: Fail = (message) => {
    throw new NpyFormatError(`parseNpy: ${name} ${message}`);
  };
  const header = npyHeaderOf(bytes, bytes.length, fail);
  const { start, columnMajor, shape, type } = header;
  const data = npyNumbers(Uint8Array.from(bytes.subarray(start)), header);
  if (columnMajor && shape.length > 1) reorder(data, shape, type.parts);
  return { shape: type.parts === 1 ? shape : [...shape, type.parts], data };
}

/** From columns, the first index fastest, to rows, the last index fastest, in place. */
function reorder(data: NumericData, shape: readonly number[], parts: number): void {
  const columns = data.slice();
  const index = shape.map(() => 0);
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((a, b) => a * b, parts));
  let from = 0;
  for (let to = 0; to < data.length; to += parts) {
    for (let part = 0; part < parts; part++) data[to + part] = columns[from + part]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
}
