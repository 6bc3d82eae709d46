/**
 * The NPY format, in which NumPy saves an array: a mark, a version, a Python dictionary as text with the type, the
 * order and the shape, then the numbers.
 *
 * Written here, not by a library: npyjs neither puts Fortran order in rows nor reads big-endian numbers nor sees
 * that a file is cut short, and what is left of the format is that one line of text. Left out: archives of several
 * arrays (NPZ), text, records, objects, and writing.
 */
import { formatShape, formatValue, InvNetError, requireBytes } from '@invnet/tensor';
import type { NumericData } from './numeric-data.ts';

export type { NumericData } from './numeric-data.ts';

/** Bytes are not a whole NPY file, or hold what is not read here. */
export class NpyFormatError extends InvNetError {
  override name = 'NpyFormatError';
}

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
  const { start, descr, columnMajor, shape } = headerOf(bytes, fail);
  const code = descr.slice(1);
  const type = Object.hasOwn(types, code) ? types[code] : undefined;
  if (!type || !'<>|='.includes(descr[0]!)) {
    return fail(
      `holds numbers of type ${formatValue(descr)}; expected truth values, integers, floats or complex ` +
        'numbers, without names.',
    );
  }
  const count = shape.reduce((a, b) => a * b, 1);
  const expected = start + count * type.parts * type.bytes;
  if (bytes.length !== expected) {
    const problem = bytes.length < expected ? 'is truncated' : 'has trailing bytes';
    fail(
      `${problem}: its header says shape ${formatShape(shape)} of ${descr}, which makes ${expected} ` +
        `bytes, but it has ${bytes.length}.`,
    );
  }
  const raw = Uint8Array.from(bytes.subarray(start));
  if (descr[0] === '>') swapBytes(raw, type.bytes);
  const data = type.of(raw.buffer);
  if (columnMajor && shape.length > 1) reorder(data, shape, type.parts);
  return { shape: type.parts === 1 ? shape : [...shape, type.parts], data };
}

type Fail = (message: string) => never;

interface ElementType {
  /** Of a part. */
  readonly bytes: number;
  /** Numbers that make one, which is 2 for complex ones. */
  readonly parts: 1 | 2;
  of(buffer: ArrayBuffer): NumericData;
}

const types: Readonly<Record<string, ElementType>> = {
  b1: { bytes: 1, parts: 1, of: (b) => new Uint8Array(b).map((v) => (v ? 1 : 0)) },
  u1: { bytes: 1, parts: 1, of: (b) => new Uint8Array(b) },
  i1: { bytes: 1, parts: 1, of: (b) => new Int8Array(b) },
  u2: { bytes: 2, parts: 1, of: (b) => new Uint16Array(b) },
  i2: { bytes: 2, parts: 1, of: (b) => new Int16Array(b) },
  u4: { bytes: 4, parts: 1, of: (b) => new Uint32Array(b) },
  i4: { bytes: 4, parts: 1, of: (b) => new Int32Array(b) },
  u8: { bytes: 8, parts: 1, of: (b) => new BigUint64Array(b) },
  i8: { bytes: 8, parts: 1, of: (b) => new BigInt64Array(b) },
  f2: { bytes: 2, parts: 1, of: (b) => Float32Array.from(new Uint16Array(b), halfFloat) },
  f4: { bytes: 4, parts: 1, of: (b) => new Float32Array(b) },
  f8: { bytes: 8, parts: 1, of: (b) => new Float64Array(b) },
  c8: { bytes: 4, parts: 2, of: (b) => new Float32Array(b) },
  c16: { bytes: 8, parts: 2, of: (b) => new Float64Array(b) },
};

interface Header {
  /** Where the numbers start. */
  readonly start: number;
  readonly descr: string;
  readonly columnMajor: boolean;
  readonly shape: readonly number[];
}

function headerOf(bytes: Uint8Array, fail: Fail): Header {
  const mark = String.fromCharCode(...bytes.subarray(0, 6));
  if (mark.startsWith('PK')) {
    fail('is a ZIP archive, as NPZ files are; unpack it and read one of the .npy files in it.');
  }
  if (mark.startsWith('\x1f\x8b')) fail('is compressed with gzip; decompress it first.');
  if (mark !== '\x93NUMPY'.slice(0, mark.length)) {
    fail(`is not an NPY file: it starts with ${formatValue(mark)}; expected '\\x93NUMPY'.`);
  }
  const version = bytes[6] ?? 1;
  if (version < 1 || version > 3) fail(`is of version ${version}; expected 1, 2 or 3.`);
  const at = version === 1 ? 10 : 12;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size =
    bytes.length < at ? 0 : version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const start = at + size;
  if (bytes.length < at || bytes.length < start) {
    fail(`is truncated: it has ${bytes.length} bytes, its header needs ${start}.`);
  }
  const text = new TextDecoder('latin1').decode(bytes.subarray(at, start));
  const descr = /'descr': *'([^']+)'/.exec(text)?.[1];
  const order = /'fortran_order': *(True|False)/.exec(text)?.[1];
  const sizes = /'shape': *\(([\dL, ]*)\)/.exec(text)?.[1];
  if (/'descr': *\[/.test(text)) fail('holds records; expected numbers without names.');
  if (descr === undefined || order === undefined || sizes === undefined) {
    return fail(`has a damaged header: ${formatValue(text.trim())}.`);
  }
  const shape = (sizes.match(/\d+/g) ?? []).map(Number);
  return { start, descr, columnMajor: order === 'True', shape };
}

function swapBytes(raw: Uint8Array, size: number): void {
  for (let i = 0; i < raw.length; i += size) raw.subarray(i, i + size).reverse();
}

/** Of 16 bits, as IEEE 754 says. */
function halfFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction);
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
