/**
 * The safetensors format (https://github.com/huggingface/safetensors): the length of a JSON header
 * as a little-endian 64-bit number, the header with each array's type, shape and place, then the
 * numbers, little-endian, without gaps. Such files open in Python, and cannot carry code.
 *
 * Written here because the one package of that name on npm is a first version, not kept up. Left
 * out: element types other than F32 and F64, and reading parts of a file.
 */
import {
  formatShape,
  InvNetError,
  type NumericArray,
  type Shape,
  sizeOf,
  ValueError,
} from '@invnet/tensor';

/** Bytes are not a whole safetensors file that this library can read. */
export class SafetensorsFormatError extends InvNetError {
  override name = 'SafetensorsFormatError';
}

/** Numbers with a shape, on the host. */
export interface HostTensor {
  readonly shape: Shape;
  /** Row-major; its type says which of F32 and F64 it is in a file. */
  readonly data: NumericArray;
}

/** What a file holds. */
export interface Safetensors {
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** Strings by name: the header's `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>;
}

interface HeaderEntry {
  readonly dtype: 'F32' | 'F64';
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

const metadataKey = '__metadata__';
const mostHeaderBytes = 100_000_000;

/**
 * The bytes of a file. F64 comes before F32, otherwise the order is kept, so that every array is
 * aligned to its element size.
 *
 * @throws ValueError when an array does not fill its shape, or takes the reserved name.
 * @example
 * const bytes = writeSafetensors({
 *   tensors: new Map([['w', { shape: [2], data: Float32Array.of(1, 2) }]]),
 *   metadata: { step: '100' },
 * });
 */
export function writeSafetensors({ tensors, metadata }: Safetensors): Uint8Array<ArrayBuffer> {
  const ordered = [...tensors].sort(
    ([, a], [, b]) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT,
  );
  let end = 0;
  const header = ordered.map(([name, { shape, data }]): [string, HeaderEntry] => {
    if (name === metadataKey || sizeOf(shape) !== data.length) {
      throw new ValueError(
        `writeSafetensors: '${name}' has ${data.length} numbers for shape ${formatShape(shape)}; ` +
          `expected ${sizeOf(shape)}, and a name other than ${metadataKey}.`,
      );
    }
    const start = end;
    end += data.byteLength;
    const dtype = data instanceof Float64Array ? 'F64' : 'F32';
    return [name, { dtype, shape, data_offsets: [start, end] }];
  });
  const json = JSON.stringify(Object.fromEntries([[metadataKey, metadata], ...header]));
  const text = new TextEncoder().encode(json);
  // Spaces bring the numbers to a multiple of 8; the format allows them at the header's end.
  const headerLength = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + headerLength + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerLength), true);
  bytes.fill(32, 8, 8 + headerLength);
  bytes.set(text, 8);
  let at = 8 + headerLength;
  for (const [, { data }] of ordered) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

/**
 * Reads a whole file.
 *
 * @param name - What messages call it, such as the file's path.
 * @throws SafetensorsFormatError for another kind of file, a truncated or overlong one, a header
 * that contradicts itself, or an element type other than F32 and F64.
 */
export function readSafetensors(bytes: Uint8Array, name = 'the file'): Safetensors {
  const fail = (message: string): never => {
    throw new SafetensorsFormatError(`readSafetensors: ${name} ${message}`);
  };
  if (bytes.length < 8) {
    fail(`is not a whole safetensors file: it has ${bytes.length} bytes, expected at least 10.`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = Number(view.getBigUint64(0, true));
  if (headerLength < 2 || headerLength > mostHeaderBytes || (bytes[8] ?? 0x7b) !== 0x7b) {
    fail(
      'is not a safetensors file: it does not start with the length of a JSON header and the header.',
    );
  }
  const start = 8 + headerLength;
  if (bytes.length < start) {
    fail(`is truncated: its header needs ${start} bytes, it has ${bytes.length}.`);
  }
  const { entries, metadata } = parseHeader(bytes.subarray(8, start), fail);
  requireNoGaps(entries, bytes.length - start, fail);
  const tensors = new Map<string, HostTensor>();
  for (const [key, { dtype, shape, data_offsets }] of entries) {
    // A copy, since the numbers of a foreign file need not be aligned. Not by `slice`: that of
    // Node's Buffer, which readFile returns, shares the memory.
    const [from, to] = data_offsets;
    const { buffer } = new Uint8Array(bytes.subarray(start + from, start + to));
    const data = dtype === 'F32' ? new Float32Array(buffer) : new Float64Array(buffer);
    tensors.set(key, { shape, data });
  }
  return { tensors, metadata };
}

type Fail = (message: string) => never;

function parseHeader(
  bytes: Uint8Array,
  fail: Fail,
): { entries: [string, HeaderEntry][]; metadata: Record<string, string> } {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return fail('is not a safetensors file, or a damaged one: its header is not JSON.');
  }
  if (!isRecord(header)) return fail('has a header that is not a JSON object.');
  const { [metadataKey]: metadata = {}, ...rest } = header;
  if (!isRecord(metadata) || !Object.values(metadata).every((v) => typeof v === 'string')) {
    return fail(`has a ${metadataKey} that is not a map of strings to strings.`);
  }
  const entries = Object.entries(rest).map(([name, entry]): [string, HeaderEntry] => {
    const { dtype, shape, data_offsets } = isRecord(entry) ? entry : {};
    if (typeof dtype !== 'string' || !isSizes(shape) || !isSizes(data_offsets, 2)) {
      return fail(`has a header without the dtype, shape and data_offsets of '${name}'.`);
    }
    if (dtype !== 'F32' && dtype !== 'F64') {
      return fail(`holds '${name}' as ${dtype}; this library reads F32 and F64.`);
    }
    const [from, to] = data_offsets as [number, number];
    const expected = sizeOf(shape) * (dtype === 'F32' ? 4 : 8);
    if (to - from !== expected) {
      return fail(
        `gives '${name}' ${to - from} bytes; ${dtype} of shape ${formatShape(shape)} needs ${expected}.`,
      );
    }
    return [name, { dtype, shape, data_offsets: [from, to] }];
  });
  return { entries, metadata: metadata as Record<string, string> };
}

function requireNoGaps(entries: [string, HeaderEntry][], available: number, fail: Fail): void {
  let end = 0;
  const byPlace = [...entries].sort(
    ([, a], [, b]) =>
      a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1],
  );
  for (const [name, { data_offsets }] of byPlace) {
    if (data_offsets[0] !== end) {
      fail(`has '${name}' at offset ${data_offsets[0]}; expected ${end}, without gap or overlap.`);
    }
    end = data_offsets[1];
  }
  if (available !== end) {
    const problem = available < end ? 'is truncated' : 'has trailing bytes';
    fail(`${problem}: its header describes ${end} bytes of numbers, it has ${available}.`);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown, length?: number): value is number[] {
  return (
    Array.isArray(value) &&
    (length === undefined || value.length === length) &&
    value.every((v) => Number.isSafeInteger(v) && v >= 0)
  );
}
