/** A volume of the user's to test on. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { Volume } from '@invnet/datasets';
import { parseDicomSeries } from '@invnet/datasets/dicom';
import { parseNifti } from '@invnet/datasets/nifti';
import { parseNpy } from '@invnet/datasets/npy';
import { FlagError } from 'example-kit';

/**
 * Reads a NIfTI file (.nii, .nii.gz), a folder with the DICOM files of one series, or an NPY file [slices, rows,
 * columns] whose axes run up, to the back and to the left.
 *
 * @throws FlagError for another kind of file, and what the readers throw for damaged ones.
 */
export async function readVolume(path: string): Promise<Volume> {
  if ((await stat(path)).isDirectory()) return readSeries(path);
  const bytes = await readFile(path);
  if (/\.nii(\.gz)?$/.test(path)) return parseNifti(bytes, { name: path });
  if (extname(path) === '.npy') {
    const { shape, data } = parseNpy(bytes, path);
    if (shape.length !== 3) {
      throw new FlagError(
        `--file: ${path} is of shape [${shape.join(', ')}]; expected [slices, rows, columns].`,
      );
    }
    const affine = [
      [-1, 0, 0, 0],
      [0, -1, 0, 0],
      [0, 0, 1, 0],
    ] as const;
    return { shape, data: Float32Array.from(data, Number), affine, spacing: [1, 1, 1] };
  }
  throw new FlagError(
    `--file: ${path} is no .nii, .nii.gz or .npy file; expected one of these, or a folder of DICOM files.`,
  );
}

async function readSeries(folder: string): Promise<Volume> {
  const entries = await readdir(folder, { withFileTypes: true });
  const paths = entries
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => join(folder, name));
  if (paths.length === 0) {
    throw new FlagError(
      `--file: the folder ${folder} holds no files; expected the DICOM files of one series.`,
    );
  }
  const files = paths.map(async (name) => ({ name, bytes: await readFile(name) }));
  return parseDicomSeries(await Promise.all(files));
}
