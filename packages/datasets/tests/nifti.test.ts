/**
 * Numbers and orientations are those that nibabel 5 reads from the same files.
 */
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { colin27 } from '@invnet/data-colin27';
import { ShapeError, ValueError } from '@invnet/tensor';
import { describe, expect, it } from 'vitest';
import { orientVolume } from '../src/index.ts';
import { NiftiFormatError, parseNifti } from '../src/nifti.ts';
import { expectTypedErrors, range } from './damage.ts';

/**
 * By nibabel: NIfTI-1 of the numbers 0 … 23 as int16 [2, 3, 4] in rows, slope 0.5, intercept −3, and an sform
 * that is oblique.
 */
const oblique = Buffer.from(
  'H4sIAAAAAAACA4thZCAKMDMwATELAyMUogIWBgEw3bD/vQaDw+9NB+19pR0cgHx7VLzBGagISDscYBgUgJHhVfIfO6tJzPb2mZ/sGBgWAN18A' +
    'IgfOJw9c8YWogbkVpA4A1DMxw4iBlIDpu0h6h44oJucp20IZfGAQ4eDQQRoGy8DK4MgAyeDKDA0+RjYGIQYuBjEgOHKz8DOIMzAzSDOAACybyzekAEAAA==',
  'base64',
);

/** By nibabel: NIfTI-2, big-endian, of float32 0, 0.25 … 1.25 as [3, 2, 1] in rows, with a qform alone. */
const rotated = Buffer.from(
  'H4sIAAAAAAACA2NgYJLJ0zZi4OWS4mIQYFBggABmNJoJSjMSSWOA/R8gtP0PCO0AFXfggIp/wE9DnaGAyh/UAGtY2D9bMC+t3vqMgwqEf0AANTx' +
    'g4AAaH6YeFn7oAGYOhjgHdvNJAfYg3MDAYAfE9kCD7BcwMAAAxBr0FzgCAAA=',
  'base64',
);

describe('parseNifti', () => {
  it('reads Colin27, big-endian and compressed, and turns it', async () => {
    const volume = await parseNifti(await readFile(colin27));
    expect(volume).toMatchObject({ shape: [151, 191, 161], spacing: [1, 1, 1] });
    const at = (i: number, j: number, k: number) => volume.data[(k * 191 + j) * 161 + i];
    expect([at(80, 70, 75), at(40, 100, 60), at(120, 50, 90)]).toEqual([90, 230, 185]);
    expect(volume.data.reduce((a, b) => a + b)).toBe(258857799);
    const turned = orientVolume(volume, 'RAS');
    expect(turned.shape).toEqual(volume.shape);
    expect(turned.affine).toEqual([
      [1, 0, 0, -80],
      [0, 1, 0, -110],
      [0, 0, 1, -65],
    ]);
    expect(turned.data[(70 * 191 + 60) * 161 + 60]).toBe(150);
  });

  it('applies slope and intercept, and gives oblique axes the directions that are closest', async () => {
    const volume = await parseNifti(oblique);
    expect(volume.shape).toEqual([4, 3, 2]);
    expect(volume.data.at(-1)).toBe(8.5);
    expectClose(volume.affine, [
      [0.1, 0, -3, 5],
      [2, 0.2, 0, 6],
      [0, 1.5, 0.1, 7],
    ]);
    const turned = orientVolume(volume, 'RAS');
    expect(turned.shape).toEqual([3, 2, 4]);
    expect([...turned.data]).toEqual([
      -1.5, -2, -2.5, -3, 4.5, 4, 3.5, 3, 0.5, 0, -0.5, -1, 6.5, 6, 5.5, 5, 2.5, 2, 1.5, 1, 8.5, 8,
      7.5, 7,
    ]);
    expectClose(turned.affine, [
      [3, 0.1, 0, -4],
      [0, 2, 0.2, 6],
      [-0.1, 0, 1.5, 7.3],
    ]);
    expect(turned.spacing.map((v) => v.toFixed(3))).toEqual(['1.513', '2.002', '3.002']);
    const back = orientVolume(turned, 'ASL');
    expect(back.data).toEqual(volume.data);
    expectClose(back.affine, volume.affine);
  });

  it('reads the qform of a big-endian NIfTI-2 file', async () => {
    const { shape, data, affine, spacing } = await parseNifti(rotated);
    expect(shape).toEqual([1, 2, 3]);
    expect([...data]).toEqual([0, 0.5, 1, 0.25, 0.75, 1.25]);
    expect(spacing).toEqual([3, 2, 1.5]);
    expectClose(affine, [
      [0, -2, 0, 10],
      [1.5, 0, 0, -4],
      [0, 0, -3, 2],
    ]);
  });

  it('reads volumes over time, every type of real numbers, and lengths in metres', async () => {
    const types = { 2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4 };
    for (const [code, bytes] of Object.entries(types)) {
      const file = nifti({ dims: [2, 1, 1, 3], code: Number(code), bytes, units: 1 });
      const { shape, data, spacing } = await parseNifti(file);
      expect(shape).toEqual([3, 1, 1, 2]);
      expect(spacing).toEqual([1000, 1000, 1000]);
      expect(data).toEqual(new Float32Array(6));
    }
  });

  it('refuses a volume without an orientation, unless one is given', async () => {
    const file = nifti({ dims: [2, 1, 1], sform: 0 });
    await expect(parseNifti(file, { name: 'x.nii' })).rejects.toThrow(NiftiFormatError);
    await expect(parseNifti(file, { name: 'x.nii' })).rejects.toThrow(
      /^parseNifti: x\.nii has no orientation: its qform_code and sform_code are 0.*Give an affine/,
    );
    const affine = [
      [0, -3, 0, 1],
      [2, 0, 0, 1],
      [0, 0, 4, 1],
    ] as const;
    expect(await parseNifti(file, { affine })).toMatchObject({ affine, spacing: [4, 3, 2] });
    const flat = [affine[0], affine[0], affine[2]] as const;
    await expect(parseNifti(file, { affine: flat })).rejects.toThrow(ValueError);
  });

  it.each([
    ['an empty file', new Uint8Array(0), /is not a NIfTI file/],
    ['a PNG', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10), /is not a NIfTI file/],
    ['a header of Analyze', nifti({ dims: [2], mark: '' }), /lacks the mark 'n\+1'/],
    ['a pair of files', nifti({ dims: [2], mark: 'ni1' }), /lacks the mark 'n\+1'/],
    ['complex numbers', nifti({ dims: [2], code: 32, bytes: 8 }), /type 32; expected integers/],
    ['colours', nifti({ dims: [2], code: 128, bytes: 3 }), /type 128/],
    ['a negative size', nifti({ dims: [2, -3] }), /damaged header: its dimensions are 2, 2, -3/],
    ['no dimensions', nifti({ dims: [] }), /damaged header/],
    ['numbers within the header', nifti({ dims: [2], start: 100 }), /start at byte 100; expected/],
    [
      'sizes beyond the file',
      nifti({ dims: [2, 1, 1] }).fill(0x7f, 42, 48),
      /truncated: its header says shape \[32639, 32639, 32639\]/,
    ],
    ['a gzip cut short', oblique.subarray(0, 100), /its gzip does not end well/],
  ])('refuses %s', async (_, bytes, message) => {
    await expect(parseNifti(bytes)).rejects.toThrow(NiftiFormatError);
    await expect(parseNifti(bytes)).rejects.toThrow(message);
  });

  it('gives typed errors, or numbers, for all that is cut short or damaged', async () => {
    for (const compressed of [oblique, rotated]) {
      const file = gunzipSync(compressed);
      const everywhere = { lengths: range(0, file.length), places: range(0, file.length) };
      await expectTypedErrors(file, (bytes) => parseNifti(bytes), everywhere);
    }
    const { length } = oblique;
    const sparse = { lengths: range(0, length), places: range(0, length) };
    await expectTypedErrors(oblique, (bytes) => parseNifti(bytes), sparse);
  });
});

describe('orientVolume', () => {
  it('refuses other letters, and volumes that are none', async () => {
    const volume = await parseNifti(rotated);
    for (const axes of ['', 'RA', 'RAR', 'RLS', 'ras', 'RASI', 'XYZ']) {
      expect(() => orientVolume(volume, axes)).toThrow(ValueError);
      expect(() => orientVolume(volume, axes)).toThrow(/expected three letters/);
    }
    const short = { ...volume, data: volume.data.slice(1) };
    expect(() => orientVolume(short, 'RAS')).toThrow(ShapeError);
  });
});

interface Header {
  readonly dims: readonly number[];
  readonly code?: number;
  readonly bytes?: number;
  readonly units?: number;
  readonly sform?: number;
  readonly start?: number;
  readonly mark?: string;
}

/** A NIfTI-1 file of zeros; by its sform voxels are 1 apart. */
function nifti({
  dims,
  code = 2,
  bytes = 1,
  units = 2,
  sform = 1,
  start = 352,
  mark = 'n+1',
}: Header) {
  const file = new Uint8Array(352 + bytes * dims.reduce((a, b) => a * Math.max(b, 1), 1));
  const view = new DataView(file.buffer);
  view.setInt32(0, 348, true);
  [dims.length, ...dims].forEach((v, i) => {
    view.setInt16(40 + 2 * i, v, true);
  });
  view.setInt16(70, code, true);
  view.setInt16(72, 8 * bytes, true);
  view.setFloat32(108, start, true);
  file[123] = units;
  view.setInt16(254, sform, true);
  for (const row of [0, 1, 2]) view.setFloat32(280 + 20 * row, 1, true);
  file.set(new TextEncoder().encode(mark), 344);
  return file;
}

function expectClose(
  affine: readonly (readonly number[])[],
  expected: readonly (readonly number[])[],
) {
  const apart = affine.flat().map((v, i) => Math.abs(v - expected.flat()[i]!));
  expect(Math.max(...apart)).toBeLessThan(1e-6);
}
