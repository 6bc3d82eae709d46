/**
 * NIfTI-1 and NIfTI-2 in one file (`.nii`, `.nii.gz`), the format in which brain images are exchanged, read by
 * `nifti-reader-js`, which who wants this entry installs.
 *
 * Left out: pairs of `.hdr` and `.img`, colours, complex numbers, and writing.
 */
import {
  formatShape,
  formatValue,
  InvNetError,
  requireBytes,
  requireOptions,
  ValueError,
} from '@invnet/tensor';
import { type NIFTI1, type NIFTI2, readHeader } from 'nifti-reader-js';
import { gunzip } from './gunzip.ts';
import { type Affine, isAffine, type Volume, volumeOf } from './volume.ts';

export type { Affine, AffineRow, Volume } from './volume.ts';

/** Bytes are not a whole NIfTI file, or one that is not read here. */
export class NiftiFormatError extends InvNetError {
  override name = 'NiftiFormatError';
}

/** How to read a NIfTI file. */
export interface NiftiOptions {
  /** What messages call it, such as the file's path. Default: 'the file'. */
  readonly name?: string;
  /** Where voxels lie, in place of what the file says; a file that says nothing needs it. */
  readonly affine?: Affine;
}

/**
 * Reads a whole NIfTI file, compressed with gzip or not. Numbers are slope · stored + intercept where the file has
 * a slope other than 0, in float32. The orientation is the file's sform or qform, whichever has the higher code,
 * and the sform if both have the same.
 *
 * @param bytes - The file.
 * @throws NiftiFormatError for another kind of file, a truncated one, one whose voxels are no real numbers, or one
 * without an orientation. @throws ValueError for wrong arguments.
 * @example
 * const volume = await parseNifti(await readFile('brain.nii.gz'));
 * const axial = orientVolume(volume, 'LPS'); // of @invnet/datasets; shape [slices, rows, columns]
 */
export async function parseNifti(bytes: Uint8Array, options: NiftiOptions = {}): Promise<Volume> {
  requireBytes('parseNifti', 'bytes', bytes);
  requireOptions('parseNifti', options, ['name', 'affine']);
  const { name = 'the file', affine } = options;
  if (affine !== undefined && !isAffine(affine)) {
    throw new ValueError(
      `parseNifti: affine is ${formatValue(affine)}; expected three rows of four finite numbers that span space.`,
    );
  }
  const fail: Fail = (message, cause) => {
    throw new NiftiFormatError(`parseNifti: ${name} ${message}`, { cause });
  };
  const file = await gunzip(bytes).catch((cause: unknown) =>
    fail('is truncated or damaged: its gzip does not end well.', cause),
  );
  const header = headerOf(file, fail);
  const shape = shapeOf(header, fail);
  const data = numbersOf(file, header, shape, fail);
  return volumeOf(shape, data, affine ?? affineOf(header, fail));
}

type Fail = (message: string, cause?: unknown) => never;

/** Of the header alone, so that the library does not walk through extensions, which may lead nowhere. */
function headerOf(file: Uint8Array<ArrayBuffer>, fail: Fail): NIFTI1 | NIFTI2 {
  const view = new DataView(file.buffer);
  const sizes = file.length < 4 ? [] : [view.getInt32(0, true), view.getInt32(0, false)];
  const size = sizes.find((n) => n === 348 || n === 540);
  if (size === undefined) {
    return fail('is not a NIfTI file: it does not start with a header of 348 or 540 bytes.');
  }
  if (file.length < size) {
    fail(`is truncated: it has ${file.length} bytes, its header ${size}.`);
  }
  try {
    return readHeader(file.buffer.slice(0, size));
  } catch (cause) {
    return fail(
      "is not a NIfTI file in one piece: its header lacks the mark 'n+1' or 'n+2'.",
      cause,
    );
  }
}

function shapeOf({ dims }: NIFTI1 | NIFTI2, fail: Fail): readonly number[] {
  const [rank = 0, ...all] = dims.map(Number);
  const sizes = all.slice(0, rank);
  if (!(rank >= 1 && rank <= 7) || !sizes.every((s) => Number.isSafeInteger(s) && s >= 1)) {
    fail(`has a damaged header: its dimensions are ${dims.join(', ')}.`);
  }
  while (sizes.length > 3 && sizes.at(-1) === 1) sizes.pop();
  while (sizes.length < 3) sizes.push(1);
  return sizes.reverse();
}

interface VoxelType {
  readonly bytes: number;
  readonly read:
    | 'getUint8'
    | 'getInt8'
    | 'getUint16'
    | 'getInt16'
    | 'getUint32'
    | 'getInt32'
    | 'getFloat32'
    | 'getFloat64';
}

/** By their codes. */
const voxelTypes: Readonly<Record<number, VoxelType>> = {
  2: { bytes: 1, read: 'getUint8' },
  4: { bytes: 2, read: 'getInt16' },
  8: { bytes: 4, read: 'getInt32' },
  16: { bytes: 4, read: 'getFloat32' },
  64: { bytes: 8, read: 'getFloat64' },
  256: { bytes: 1, read: 'getInt8' },
  512: { bytes: 2, read: 'getUint16' },
  768: { bytes: 4, read: 'getUint32' },
};

function numbersOf(
  file: Uint8Array<ArrayBuffer>,
  header: NIFTI1 | NIFTI2,
  shape: readonly number[],
  fail: Fail,
): Float32Array<ArrayBuffer> {
  const type = voxelTypes[header.datatypeCode];
  if (!type) {
    return fail(
      `has voxels of NIfTI's type ${header.datatypeCode}; expected integers of at most 32 bits or real ` +
        `floats of at most 64, which are ${Object.keys(voxelTypes).join(', ')}.`,
    );
  }
  const { read, bytes } = type;
  const first = 'n+2' === header.magic.slice(0, 3) ? 544 : 352;
  const start = Number(header.vox_offset) || first;
  if (!(Number.isSafeInteger(start) && start >= first)) {
    fail(`has a damaged header: its voxels start at byte ${start}; expected at least ${first}.`);
  }
  const count = shape.reduce((a, b) => a * b, 1);
  const end = start + count * bytes;
  if (file.length < end) {
    fail(
      `is truncated: its header says shape ${formatShape(shape)}, which makes ${end} bytes, but it ` +
        `has ${file.length}.`,
    );
  }
  const { littleEndian, scl_slope: slope, scl_inter: intercept } = header;
  const scaled = Number.isFinite(slope) && slope !== 0;
  const [factor, shift] = scaled ? [slope, Number.isFinite(intercept) ? intercept : 0] : [1, 0];
  const view = new DataView(file.buffer);
  const data = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    data[i] = factor * view[read](start + i * bytes, littleEndian) + shift;
  }
  return data;
}

function affineOf(header: NIFTI1 | NIFTI2, fail: Fail): Affine {
  const { qform_code: qform, sform_code: sform } = header;
  if (!(qform > 0 || sform > 0)) {
    fail(
      'has no orientation: its qform_code and sform_code are 0, so left cannot be told from right. ' +
        'Give an affine, or set one in the file with the program that wrote it.',
    );
  }
  const matrix = sform >= qform ? header.affine : header.getQformMat();
  // mm of metres, of mm and of micrometres.
  const scale = { 1: 1000, 3: 0.001 }[header.xyzt_units & 7] ?? 1;
  const rows = matrix.slice(0, 3).map((row) => row.map((v) => scale * v));
  if (!isAffine(rows)) {
    return fail(`has a damaged orientation: its affine map is ${formatValue(rows)}.`);
  }
  return rows;
}
