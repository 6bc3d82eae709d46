/**
 * The IDX file format, in which MNIST and its relatives come: two zero bytes, a byte for the
 * element type, a byte for the rank, the sizes as big-endian 32-bit numbers, then the numbers,
 * row-major and big-endian.
 *
 * Left out: reading from disk, and decompression, which is `gunzip`.
 */
import { formatShape, InvNetError, requireBytes } from '@invnet/tensor';

/** Bytes are not a whole IDX file. */
export class IdxFormatError extends InvNetError {
  override name = 'IdxFormatError';
}

/** Numbers of an IDX file; which of these follows from the file's element type. */
export type IdxData =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** What an IDX file holds. */
export interface IdxArray {
  readonly shape: readonly number[];
  /** Row-major; a copy, independent of the file's bytes. */
  readonly data: IdxData;
}

interface ElementType {
  readonly bytes: number;
  read(view: DataView, offset: number, count: number): IdxData;
}

const elementTypes: Readonly<Record<number, ElementType>> = {
  8: { bytes: 1, read: (v, at, n) => bytesOf(v, at, n) },
  9: { bytes: 1, read: (v, at, n) => new Int8Array(bytesOf(v, at, n).buffer) },
  11: {
    bytes: 2,
    read: (v, at, n) => Int16Array.from({ length: n }, (_, i) => v.getInt16(at + 2 * i)),
  },
  12: {
    bytes: 4,
    read: (v, at, n) => Int32Array.from({ length: n }, (_, i) => v.getInt32(at + 4 * i)),
  },
  13: {
    bytes: 4,
    read: (v, at, n) => Float32Array.from({ length: n }, (_, i) => v.getFloat32(at + 4 * i)),
  },
  14: {
    bytes: 8,
    read: (v, at, n) => Float64Array.from({ length: n }, (_, i) => v.getFloat64(at + 8 * i)),
  },
};

/**
 * Reads a whole IDX file.
 *
 * @param bytes - The file, not compressed.
 * @param name - What messages call it, such as the file's path.
 * @throws ValueError for what is no Uint8Array.
 * @throws IdxFormatError for another kind of file, a truncated one, or one with trailing bytes.
 * @example
 * const { shape, data } = parseIdx(await readFile('t10k-images-idx3-ubyte'));
 * // shape [10000, 28, 28], data Uint8Array
 */
export function parseIdx(bytes: Uint8Array, name = 'the file'): IdxArray {
  const fail = (message: string): never => {
    throw new IdxFormatError(`parseIdx: ${name} ${message}`);
  };
  requireBytes('parseIdx', 'bytes', bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 4) {
    fail(`is truncated: it has ${bytes.length} bytes, an IDX header at least 8.`);
  }
  const type = elementTypes[bytes[2]!];
  const rank = bytes[3]!;
  if (bytes[0] !== 0 || bytes[1] !== 0 || !type || rank === 0) {
    const magic = Array.from(bytes.subarray(0, 4), (b) => b.toString(16).padStart(2, '0'));
    const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
    return fail(
      gzipped
        ? 'is compressed with gzip; decompress it first, by gunzip.'
        : `is not an IDX file: it starts with ${magic.join(' ')}; expected 00 00, an element ` +
            'type of 08, 09, 0b, 0c, 0d or 0e, and a rank of at least 1.',
    );
  }
  const start = 4 + 4 * rank;
  if (bytes.length < start) {
    fail(`is truncated: it has ${bytes.length} bytes, its header of rank ${rank} needs ${start}.`);
  }
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const count = shape.reduce((a, b) => a * b, 1);
  const expected = start + count * type.bytes;
  if (bytes.length !== expected) {
    const problem = bytes.length < expected ? 'is truncated' : 'has trailing bytes';
    fail(
      `${problem}: its header says shape ${formatShape(shape)}, which makes ${expected} bytes, ` +
        `but it has ${bytes.length}.`,
    );
  }
  return { shape, data: type.read(view, start, count) };
}

function bytesOf(view: DataView, offset: number, count: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(view.buffer, view.byteOffset + offset, count).slice();
}
