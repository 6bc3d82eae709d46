/**
 * The safetensors format (https://github.com/huggingface/safetensors): the length of a JSON header
 * as a little-endian 64-bit number, the header with each array's type, shape and place, then the
 * numbers, little-endian, without gaps. Such files open in Python, and cannot carry code.
 *
 * Written here because the one package of that name on npm is a first version, not kept up. Left
 * out: writing element types other than F32 and F64, and reading parts of a file.
 */
import {
  formatShape,
  formatValue,
  InvNetError,
  type NumericArray,
  requireBytes,
  requireOptions,
  type Shape,
  sizeOf,
  ValueError,
} from '@invnet/tensor';
import { elementTypes } from './element-types.ts';

/** Bytes are not a whole safetensors file that this library can read. */
export class SafetensorsFormatError extends InvNetError {
  override name = 'SafetensorsFormatError';
}

/** Numbers with a shape, on the host. */
export interface HostTensor {
  readonly shape: Shape;
  /**
   * Row-major; its type says which of F32 and F64 it is in a file. Asking for those of an entry that
   * `readSafetensors` cannot read as floats throws a SafetensorsFormatError.
   */
  readonly data: NumericArray;
}

/** What a file holds. */
export interface Safetensors {
  readonly tensors: ReadonlyMap<string, HostTensor>;
  /** Strings by name: the header's `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>;
}

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

const metadataKey = '__metadata__';
/** As in the format's own reader. */
const mostHeaderBytes = 100_000_000;
/** How ZIP files start: 'PK\x03\x04'. */
const zipMark = 0x504b0304;

/**
 * The bytes of a file. F64 comes before F32, otherwise the order is kept, so that every array is
 * aligned to its element size.
 *
 * @throws ValueError for what no reader of the format would take back: a name or metadata that are no
 * text, the reserved name, a shape that is none, data that do not fill it or are of other arrays.
 * @example
 * const bytes = writeSafetensors({
 *   tensors: new Map([['w', { shape: [2], data: Float32Array.of(1, 2) }]]),
 *   metadata: { step: '100' },
 * });
 */
export function writeSafetensors(file: Safetensors): Uint8Array<ArrayBuffer> {
  requireOptions('writeSafetensors', file, ['tensors', 'metadata']);
  const { tensors, metadata } = file;
  if (!(tensors instanceof Map)) {
    throw new ValueError(
      `writeSafetensors: tensors is ${formatValue(tensors)}; expected a Map by name.`,
    );
  }
  requireTexts(metadata);
  for (const [name, tensor] of tensors) requireWritable(name, tensor);
  const ordered = [...tensors].sort(
    ([, a], [, b]) => b.data.BYTES_PER_ELEMENT - a.data.BYTES_PER_ELEMENT,
  );
  let end = 0;
  const header = ordered.map(([name, { shape, data }]): [string, HeaderEntry] => {
    const start = end;
    end += data.byteLength;
    return [name, { dtype: dtypeOf(data)!, shape, data_offsets: [start, end] }];
  });
  const json = JSON.stringify(Object.fromEntries([[metadataKey, metadata], ...header]));
  const text = new TextEncoder().encode(json);
  // Spaces bring the numbers to a multiple of 8; the format allows them at the header's end.
  const headerLength = Math.ceil(text.length / 8) * 8;
  if (headerLength > mostHeaderBytes) {
    throw new ValueError(
      `writeSafetensors: names, shapes and metadata take ${headerLength} bytes; the format allows ` +
        `${mostHeaderBytes}.`,
    );
  }
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
 * Reads a whole file. Floats of fewer bits, booleans and integers of up to 53 bits come as the floats
 * that hold them exactly: float32, but float64 for integers of 32 and 64 bits. Of entries that floats
 * cannot hold the shape is given, and only asking for the `data` throws.
 *
 * @param name - What messages call it, such as the file's path.
 * @throws SafetensorsFormatError for another kind of file, a truncated or overlong one, or a header
 * that contradicts itself.
 * @example readSafetensors(bytes, path).tensors.get('encoder.weight')?.data
 */
export function readSafetensors(bytes: Uint8Array, name = 'the file'): Safetensors {
  if (typeof name !== 'string') {
    throw new ValueError(`readSafetensors: the name is ${formatValue(name)}; expected a text.`);
  }
  requireBytes('readSafetensors', 'bytes', bytes);
  const fail = (message: string): never => {
    throw new SafetensorsFormatError(`readSafetensors: ${name} ${message}`);
  };
  if (bytes.length < 8) {
    fail(`is not a whole safetensors file: it has ${bytes.length} bytes, expected at least 10.`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = Number(view.getBigUint64(0, true));
  if (headerLength > mostHeaderBytes) {
    if (view.getUint32(0) === zipMark) {
      fail('is a ZIP file, as torch.save writes; expected one of save_file, of safetensors.torch.');
    }
    fail('is not a safetensors file: it does not start with the length of a JSON header.');
  }
  const start = 8 + headerLength;
  if (bytes.length < start) {
    fail(`is truncated: its header needs ${start} bytes, it has ${bytes.length}.`);
  }
  const { entries, metadata } = parseHeader(bytes.subarray(8, start), fail);
  requireNoGaps(entries, bytes.length - start, fail);
  const tensors = new Map<string, HostTensor>();
  for (const [key, entry] of entries) {
    // A copy, since the numbers of a foreign file need not be aligned. Not by `slice`: that of
    // Node's Buffer, which readFile returns, shares the memory.
    const [from, to] = entry.data_offsets;
    const { buffer } = new Uint8Array(bytes.subarray(start + from, start + to));
    tensors.set(key, hostTensor(key, entry, buffer, fail));
  }
  return { tensors, metadata };
}

type Fail = (message: string) => never;

function hostTensor(
  name: string,
  { dtype, shape }: HeaderEntry,
  bytes: ArrayBuffer,
  fail: Fail,
): HostTensor {
  const data = elementTypes.get(dtype)?.read?.(bytes);
  if (data) return { shape, data };
  return {
    shape,
    get data() {
      return fail(
        `holds '${name}' as ${dtype}, which cannot be read as floats; expected floats of up to 64 ` +
          'bits, booleans, or integers of up to 53.',
      );
    },
  };
}

function parseHeader(
  bytes: Uint8Array,
  fail: Fail,
): { entries: [string, HeaderEntry][]; metadata: Record<string, string> } {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return fail('is not a safetensors file, or a damaged one: its header is not JSON.');
  }
  if (!isRecord(header)) return fail('has a header that is not a JSON object.');
  const { [metadataKey]: given, ...rest } = header;
  // As in the format's own reader, null stands for none.
  const metadata = given ?? {};
  if (!isRecord(metadata) || !Object.values(metadata).every((v) => typeof v === 'string')) {
    return fail(`has a ${metadataKey} that is not a map of strings to strings.`);
  }
  const entries = Object.entries(rest).map(([name, entry]): [string, HeaderEntry] => {
    const { dtype, shape, data_offsets } = isRecord(entry) ? entry : {};
    if (typeof dtype !== 'string' || !isSizes(shape) || !isSizes(data_offsets, 2)) {
      return fail(`has a header without the dtype, shape and data_offsets of '${name}'.`);
    }
    const [from, to] = data_offsets as [number, number];
    // A type that the format may get later has no width here; where it ends can be checked still.
    const type = elementTypes.get(dtype);
    const expected = type ? (sizeOf(shape) * type.bits) / 8 : to - from;
    if (to - from !== expected || to < from) {
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

function requireTexts(metadata: Readonly<Record<string, string>>): void {
  if (!isRecord(metadata)) {
    throw new ValueError('writeSafetensors: metadata is no record; expected texts by name.');
  }
  for (const [name, value] of Object.entries(metadata)) {
    if (isText(name) && isText(value)) continue;
    throw new ValueError(
      `writeSafetensors: metadata ${JSON.stringify(name)} is ${kindOf(value)}; expected a text, and ` +
        'no half of a surrogate pair.',
    );
  }
}

function requireWritable(name: string, { shape, data }: HostTensor): void {
  const fail = (problem: string): never => {
    throw new ValueError(`writeSafetensors: ${kindOf(name)} ${problem}.`);
  };
  if (!isText(name) || name === metadataKey) {
    fail(`cannot be a name; expected a text other than ${metadataKey}`);
  }
  if (!isSizes(shape)) {
    const found = Array.isArray(shape) ? formatShape(shape) : kindOf(shape);
    fail(`has the shape ${found}; expected whole numbers of at least 0`);
  }
  if (!dtypeOf(data)) fail('has data of another kind; expected a Float32Array or a Float64Array');
  if (sizeOf(shape) !== data.length) {
    fail(
      `has ${data.length} numbers for shape ${formatShape(shape)}; expected ${sizeOf(shape)} of them`,
    );
  }
}

/** How a file has such an array; undefined for other arrays, whose bits would be taken for floats. */
function dtypeOf(data: NumericArray): 'F32' | 'F64' | undefined {
  // By its tag, since an array of another realm is no instance of this one's classes.
  const tag = ArrayBuffer.isView(data) ? data[Symbol.toStringTag] : undefined;
  if (tag === 'Float32Array') return 'F32';
  return tag === 'Float64Array' ? 'F64' : undefined;
}

/** A text that UTF-8 can hold, so none with half of a surrogate pair: files of those cannot be read back. */
export function isText(value: unknown): value is string {
  return typeof value === 'string' && !/\p{Surrogate}/u.test(value);
}

/** What a value is, in messages: it may be anything, where JavaScript calls. */
export function kindOf(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return value === null ? 'null' : `of type ${typeof value}`;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  // A Map has no entries that a spread would find.
  return typeof value === 'object' && value !== null && !(Symbol.iterator in value);
}

function isSizes(value: unknown, length?: number): value is number[] {
  return (
    Array.isArray(value) &&
    (length === undefined || value.length === length) &&
    value.every((v) => Number.isSafeInteger(v) && v >= 0)
  );
}
