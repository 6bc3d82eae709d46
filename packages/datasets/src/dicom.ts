/// <reference path="./daikon.d.ts" />
/**
 * Series of DICOM images, as scanners write them: one file a slice, put together to a volume. Files are read by
 * `daikon`, which who wants this entry installs: of all transfer syntaxes that it knows, JPEG and RLE among them.
 *
 * Left out: several frames in a file, colours, several volumes in a series (over time or echoes), and everything
 * that a file says about the patient.
 */
import {
  formatShape,
  formatValue,
  InvNetError,
  requireBytes,
  requireList,
  requireRecord,
  ValueError,
} from '@invnet/tensor';
import daikon from 'daikon';
import { type AffineRow, isAffine, type Volume, volumeOf } from './volume.ts';

export type { Affine, AffineRow, Volume } from './volume.ts';

/** Bytes are not a whole DICOM image, or images do not make one volume. */
export class DicomFormatError extends InvNetError {
  override name = 'DicomFormatError';
}

/** A file in memory. */
export interface DicomFile {
  /** What messages call it, such as its path. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * Reads the slices of one series, in any order, as a volume. Numbers are slope · stored + intercept. Slices are put
 * in order by their positions along the normal, so that columns, rows and slices are as the scanner's; for axial
 * ones that is mostly `LPS`, to the left, to the back and up, which `orientVolume` makes sure of.
 *
 * @param files - All slices. One that is missing at an end cannot be told; one in between is.
 * @throws DicomFormatError for another kind of file, a truncated one, images of several series, sizes or
 * orientations, two at the same place, or a slice missing. @throws ValueError for wrong arguments.
 * @example
 * const paths = (await readdir(folder)).map((file) => join(folder, file));
 * const files = paths.map(async (name) => ({ name, bytes: await readFile(name) }));
 * const { data, shape, spacing } = parseDicomSeries(await Promise.all(files)); // shape [slices, rows, columns]
 */
export function parseDicomSeries(files: readonly DicomFile[]): Volume {
  requireList('parseDicomSeries', 'files', files, 'a list of { name, bytes }');
  if (files.length === 0) {
    throw new ValueError('parseDicomSeries: files is an empty list; expected at least one slice.');
  }
  const slices = files.map(sliceOf);
  const first = slices[0]!;
  for (const slice of slices) requireSame(first, slice);
  const [along, down] = [first.directions.slice(0, 3), first.directions.slice(3)];
  const normal = cross(along, down);
  const places = slices.map((slice) => ({ slice, place: dot(slice.position, normal) }));
  places.sort((a, b) => a.place - b.place);
  requireEven(places);
  const { slice: lowest } = places[0]!;
  const { slice: highest } = places.at(-1)!;
  const steps = slices.length - 1;
  const [betweenRows, betweenColumns] = first.spacing;
  const row = (i: 0 | 1 | 2): AffineRow => {
    // DICOM's first two axes lead to the left and to the back.
    const sign = i === 2 ? 1 : -1;
    const up = steps
      ? (highest.position[i]! - lowest.position[i]!) / steps
      : normal[i]! * first.thickness;
    const columns = [along[i]! * betweenColumns, down[i]! * betweenRows, up, lowest.position[i]!];
    const [u, v, w, origin] = columns.map((x) => sign * x + 0);
    return [u!, v!, w!, origin!];
  };
  const affine = [row(0), row(1), row(2)] as const;
  if (!isAffine(affine)) fail(first.name, 'has an orientation that does not span space.');
  const { rows, columns } = first;
  const data = new Float32Array(slices.length * rows * columns);
  places.forEach(({ slice }, k) => {
    data.set(slice.data, k * rows * columns);
  });
  return volumeOf([slices.length, rows, columns], data, affine);
}

interface Slice {
  readonly name: string;
  readonly series: string;
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array<ArrayBuffer>;
  /** Where its first pixel lies, in mm to the left, to the back and up. */
  readonly position: readonly number[];
  /** Of increasing columns, and of increasing rows. */
  readonly directions: readonly number[];
  /** In mm between rows and between columns. */
  readonly spacing: readonly [number, number];
  readonly thickness: number;
}

function sliceOf(file: DicomFile): Slice {
  requireRecord('parseDicomSeries', 'a file', file, '{ name, bytes }');
  const { name, bytes } = file;
  requireBytes('parseDicomSeries', 'the bytes of a file', bytes);
  const mark = String.fromCharCode(...bytes.subarray(128, 132));
  if (mark !== 'DICM') {
    fail(
      name,
      `is not a DICOM file: its bytes 128 to 131 are ${formatValue(mark)}; expected 'DICM'.`,
    );
  }
  try {
    return readSlice(name, bytes);
  } catch (cause) {
    // What the library stumbles over in damaged files is of any kind.
    if (cause instanceof DicomFormatError) throw cause;
    return fail(name, 'is damaged.', cause);
  }
}

function readSlice(name: string, bytes: Uint8Array): Slice {
  const { Series } = daikon;
  // A copy, for the library reads the whole of a buffer.
  const image = Series.parseImage(new DataView(Uint8Array.from(bytes).buffer));
  if (!image) return fail(name, 'is truncated or damaged.', Series.parserError);
  if (!image.hasPixelData()) fail(name, 'is truncated, or no image: it has no pixels.');
  const frames = Number(image.getNumberOfFrames());
  if (frames !== 1) fail(name, `has ${frames} frames; expected one slice a file.`);
  if (image.getNumberOfSamplesPerPixel() !== 1 || image.isPalette()) {
    fail(name, 'has colours; expected grey values.');
  }
  const sizes = numbersOf(name, 'size', [image.getRows(), image.getCols()], 2);
  const [rows, columns] = [sizes[0]!, sizes[1]!];
  // No scanner writes slices of so many pixels, but a damaged header says so.
  if (!(rows >= 1 && columns >= 1 && rows * columns <= 2 ** 28)) {
    fail(name, `is damaged: it says ${rows} × ${columns} pixels.`);
  }
  const spacing = numbersOf(name, 'pixel spacing', image.getPixelSpacing(), 2);
  const pixels = image.getInterpretedData(false, false);
  // A file of bytes may end with one that makes their number even.
  const extra = pixels.length - rows * columns;
  if (extra !== 0 && extra !== 1) {
    fail(name, `is truncated or damaged: it has ${pixels.length} pixels of ${rows * columns}.`);
  }
  return {
    name,
    series: image.getSeriesInstanceUID() ?? '',
    rows,
    columns,
    data: pixels.subarray(0, rows * columns),
    position: numbersOf(name, 'position', image.getImagePosition(), 3),
    directions: numbersOf(name, 'orientation', image.getImageDirections(), 6),
    spacing: [spacing[0]!, spacing[1]!],
    thickness: image.getSliceThickness() || 1,
  };
}

function numbersOf(name: string, what: string, values: unknown, count: number): number[] {
  const list: unknown[] = Array.isArray(values) ? values : [];
  const right = list.filter((v): v is number => typeof v === 'number' && Number.isFinite(v));
  if (right.length !== count || list.length !== count) {
    fail(name, `has no ${what}: it is ${formatValue(values)}; expected ${count} finite numbers.`);
  }
  return right;
}

/** @throws DicomFormatError for slices that are not of one volume. */
function requireSame(first: Slice, slice: Slice): void {
  if (slice.series !== first.series) {
    fail(slice.name, `is of another series than ${first.name}; give the files of one.`);
  }
  const sizes = [first, slice].map(({ rows, columns }) => formatShape([rows, columns]));
  if (sizes[0] !== sizes[1]) {
    fail(slice.name, `has size ${sizes[1]}; expected ${sizes[0]}, that of ${first.name}.`);
  }
  const apart = (a: readonly number[], b: readonly number[]) =>
    Math.max(...a.map((v, i) => Math.abs(v - b[i]!)));
  if (apart(slice.directions, first.directions) > 1e-3) {
    fail(slice.name, `has another orientation than ${first.name}; expected one for all slices.`);
  }
  if (apart(slice.spacing, first.spacing) > 1e-3 * first.spacing[0]) {
    fail(slice.name, `has another pixel spacing than ${first.name}; expected one for all slices.`);
  }
}

/** @throws DicomFormatError unless distances are equal to a tenth, as rounded positions are. */
function requireEven(places: readonly { readonly slice: Slice; readonly place: number }[]): void {
  const gaps = places.slice(1).map(({ place }, i) => place - places[i]!.place);
  const middle = gaps.toSorted((a, b) => a - b)[gaps.length >> 1] ?? 1;
  gaps.forEach((gap, i) => {
    const [below, above] = [places[i]!.slice.name, places[i + 1]!.slice.name];
    if (gap < 1e-3) fail(above, `lies where ${below} does; expected one slice a place.`);
    if (Math.abs(gap - middle) <= 0.1 * middle) return;
    fail(
      above,
      `lies ${gap.toFixed(2)} mm from ${below}, the next slice, but most are ${middle.toFixed(2)} mm ` +
        `apart: ${gap > middle ? 'a slice is missing between them' : 'slices are not evenly spaced'}.`,
    );
  });
}

function fail(name: string, message: string, cause?: unknown): never {
  throw new DicomFormatError(`parseDicomSeries: ${name} ${message}`, { cause });
}

function cross(a: readonly number[], b: readonly number[]): number[] {
  return [1, 2, 0].map((i) => {
    const j = (i + 1) % 3;
    return a[i]! * b[j]! - a[j]! * b[i]!;
  });
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, v, i) => sum + v * b[i]!, 0);
}
