/**
 * The form of NPY files: the header, the types of numbers, byte order and the order of axes. Here is what reading
 * whole arrays, reading rows and writing share.
 */
import { formatShape, formatValue, InvNetError } from '@invnet/tensor';
import type { NumericData } from './numeric-data.ts';

/** Bytes are not a whole NPY file, or hold what is not read here. */
export class NpyFormatError extends InvNetError {
  override name = 'NpyFormatError';
}

/** Ends in an error that names the file. */
export type Fail = (message: string) => never;

/** What the start of a file says. */
export interface NpyHeader {
  /** Where the numbers start. */
  readonly start: number;
  /** As NumPy says it: complex numbers count as one. */
  readonly shape: readonly number[];
  /** Fortran's order: the first index is fastest. */
  readonly columnMajor: boolean;
  readonly bigEndian: boolean;
  readonly type: ElementType;
}

/** A type of numbers. */
export interface ElementType {
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

/** Most bytes of a header that is looked at; NumPy's own have some hundred. */
export const MOST_HEADER_BYTES = 2 ** 16 + 16;

/**
 * @param bytes - The start of the file, `MOST_HEADER_BYTES` of it or all.
 * @param size - Bytes of the whole file, which must be those that the header says.
 */
export function npyHeaderOf(bytes: Uint8Array, size: number, fail: Fail): NpyHeader {
  const { start, descr, columnMajor, shape } = headerOf(bytes, size, fail);
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
  if (size !== expected) {
    const problem = size < expected ? 'is truncated' : 'has trailing bytes';
    fail(
      `${problem}: its header says shape ${formatShape(shape)} of ${descr}, which makes ${expected} ` +
        `bytes, but it has ${size}.`,
    );
  }
  return { start, shape, columnMajor, bigEndian: descr[0] === '>', type };
}

/** The numbers of some bytes behind the header, which are changed. */
export function npyNumbers(raw: Uint8Array<ArrayBuffer>, header: NpyHeader): NumericData {
  if (header.bigEndian) swapBytes(raw, header.type.bytes);
  return header.type.of(raw.buffer);
}

function headerOf(bytes: Uint8Array, bytesOfFile: number, fail: Fail) {
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
  if (bytesOfFile < at || bytesOfFile < start) {
    fail(`is truncated: it has ${bytesOfFile} bytes, its header needs ${start}.`);
  }
  if (bytes.length < start) fail(`has a header of ${start} bytes; expected a few hundred.`);
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
