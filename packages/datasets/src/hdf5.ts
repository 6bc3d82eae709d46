/**
 * Data sets of HDF5 files, such as fastMRI's, ISMRMRD's and those of MATLAB 7.3, read by `h5wasm`, the HDF5 library
 * of the HDF Group in WebAssembly, which who wants this entry installs.
 *
 * Left out: text, records and lists as data sets, files that are larger than memory, and writing.
 */
import {
  formatShape,
  formatValue,
  InvNetError,
  requireBytes,
  requireOptions,
  ValueError,
} from '@invnet/tensor';
import h5wasm, { type Dataset, type Entity } from 'h5wasm';
import type { NumericData } from './numeric-data.ts';

export type { NumericData } from './numeric-data.ts';

/** Bytes are not a whole HDF5 file, or do not hold what is asked for. */
export class Hdf5FormatError extends InvNetError {
  override name = 'Hdf5FormatError';
}

/** What to read of an HDF5 file. */
export interface Hdf5Options {
  /** The path of a data set, such as 'kspace' or 'images/t1'. */
  readonly dataset: string;
  /** What messages call the file, such as its path. Default: 'the file'. */
  readonly name?: string;
}

/** What a data set of an HDF5 file holds. */
export interface Hdf5Array {
  /** As the file says it; complex numbers have one size more, of 2: the real part and the imaginary one. */
  readonly shape: readonly number[];
  /** Row-major. */
  readonly data: NumericData;
  /** Attributes that are one number or one text: of the groups around the data set, and its own, which go first. */
  readonly attributes: Readonly<Record<string, number | string>>;
}

/**
 * Reads a data set of an HDF5 file: integers, floats of 32 and 64 bits, truth values, and complex numbers as h5py and
 * MATLAB store them, whatever chunks and built-in filters it is stored with.
 *
 * @param bytes - The file.
 * @throws Hdf5FormatError for another kind of file, a truncated one, a data set that is not there, with those that
 * are, or one of another type. @throws ValueError for wrong arguments.
 * @example
 * const bytes = await readFile('file1000001.h5');
 * const { shape, data, attributes } = await parseHdf5(bytes, { dataset: 'kspace' });
 * // shape [35, 640, 368, 2], data Float32Array, attributes { acquisition: 'CORPD_FBK', max: … }
 */
export async function parseHdf5(bytes: Uint8Array, options: Hdf5Options): Promise<Hdf5Array> {
  requireBytes('parseHdf5', 'bytes', bytes);
  requireOptions('parseHdf5', options, ['dataset', 'name']);
  const { dataset: path, name = 'the file' } = options;
  if (typeof path !== 'string' || path === '') {
    throw new ValueError(
      `parseHdf5: dataset is ${formatValue(path)}; expected the path of a data set.`,
    );
  }
  const fail: Fail = (message, cause) => {
    throw new Hdf5FormatError(`parseHdf5: ${name} ${message}`, { cause });
  };
  const library = await h5wasm.ready;
  const place = `parse-${++opened}.h5`;
  library.FS.writeFile(place, bytes);
  // In place of pages of its own diagnosis.
  library.activate_throwing_error_handler();
  try {
    return readFile(place, path, fail);
  } catch (cause) {
    // What the library stumbles over in damaged files is of any kind.
    if (cause instanceof Hdf5FormatError) throw cause;
    return fail('is truncated or damaged, or no HDF5 file.', cause);
  } finally {
    library.deactivate_throwing_error_handler();
    library.FS.unlink(place);
  }
}

type Fail = (message: string, cause?: unknown) => never;

/** Files so far: one that was not closed, for it is damaged, keeps its name. */
let opened = 0;

/** Most bytes of a data set; a damaged header could say more than there is memory. */
const MOST_BYTES = 2 ** 32;

function readFile(place: string, path: string, fail: Fail): Hdf5Array {
  const file = new h5wasm.File(place, 'r');
  try {
    const dataset = file.get(path);
    if (!(dataset instanceof h5wasm.Dataset)) {
      return fail(
        `has no data set ${formatValue(path)}; it has ${file.paths().join(', ') || 'none'}.`,
      );
    }
    const folders = path.split('/').filter((step) => step !== '');
    const around = folders.map((_, i) => file.get(folders.slice(0, i).join('/') || '/'));
    const attributes = Object.assign({}, ...[...around, dataset].map(attributesOf));
    return { ...numbersOf(dataset, path, fail), attributes };
  } finally {
    file.close();
  }
}

function numbersOf(dataset: Dataset, path: string, fail: Fail): Omit<Hdf5Array, 'attributes'> {
  const { type, shape, size, total_size: count, vlen, compound_type } = dataset.metadata;
  const members = compound_type?.members ?? [];
  const complex = /^(r,i|real,imag)$/.test(members.map(({ name }) => name).join());
  const [kind, bytes] = complex ? [members[0]!.type, size / 2] : [type, size];
  if (shape === null || vlen || !sizesOf[kind]?.includes(bytes)) {
    return fail(
      `holds something else in ${formatValue(path)}; expected integers, floats of 32 or 64 bits, truth ` +
        `values or complex numbers, not type ${type} of HDF5 in ${size} bytes.`,
    );
  }
  if (count * size > MOST_BYTES) {
    fail(
      `says shape ${formatShape(shape)} for ${formatValue(path)}, which is over ${MOST_BYTES} bytes.`,
    );
  }
  if (complex) return { shape: [...shape, 2], data: complexNumbers(dataset, shape, bytes) };
  const { value } = dataset;
  if (typeof value === 'number') return { shape, data: Float64Array.of(value) };
  if (typeof value === 'bigint') return { shape, data: BigInt64Array.of(value) };
  if (!isNumbers(value) || value.length !== count) return fail('is damaged.');
  return { shape, data: value };
}

/** How many bytes numbers may have, by the types of HDF5: integers, floats, and enumerations, as of truth values. */
const sizesOf: Readonly<Record<number, readonly number[]>> = { 0: [1, 2, 4, 8], 1: [4, 8], 8: [1] };

/** Row by row, for the library makes a list of two numbers of each. */
function complexNumbers(dataset: Dataset, shape: readonly number[], bytes: number) {
  const count = shape.reduce((a, b) => a * b, 2);
  const data = bytes === 4 ? new Float32Array(count) : new Float64Array(count);
  const [rows = 1] = shape;
  for (let row = 0; row < rows; row++) {
    const pairs = shape.length === 0 ? [dataset.value] : dataset.slice([[row, row + 1]]);
    if (!Array.isArray(pairs)) throw new TypeError('expected a list of pairs');
    data.set(pairs.flat().map(Number), row * (count / rows));
  }
  return data;
}

function isNumbers(value: unknown): value is NumericData {
  return (
    ArrayBuffer.isView(value) &&
    !(value instanceof DataView) &&
    !(value instanceof Uint8ClampedArray)
  );
}

/** Of attributes that are one number or one text. */
function attributesOf(entity: Entity | null): Hdf5Array['attributes'] {
  if (!(entity instanceof h5wasm.Group || entity instanceof h5wasm.Dataset)) return {};
  const attributes: Record<string, number | string> = {};
  for (const [name, attribute] of Object.entries(entity.attrs)) {
    const { shape, size } = attribute.metadata;
    if (shape === null || shape.some((n) => n !== 1) || size > 2 ** 16) continue;
    const { value } = attribute;
    const one = Array.isArray(value) || ArrayBuffer.isView(value) ? value[0] : value;
    if (typeof one === 'string') attributes[name] = one;
    if (typeof one === 'number' || typeof one === 'bigint') attributes[name] = Number(one);
  }
  return attributes;
}
