/** Marmousi, or any other section of velocities in a file of the user's, as earths of another kind than those of training. */
import { readFile } from 'node:fs/promises';
import { parseSegy } from '@invnet/datasets/segy';
import { FlagError } from 'example-kit';
import { spacing } from './survey.ts';

/** Numbers in a column of a file without a header, as Devito's copy of Marmousi has them. */
const bareDepths = 401;
/** Velocities above this one are in m/s. */
const fastest = 20;

/** A section of velocities, column after column. */
interface Section {
  readonly columns: number;
  readonly depths: number;
  readonly values: Float32Array;
}

/**
 * Sections of a file, side by side from its top, in km/s, row by row, each of the size of an image: as many as there is room for. Files are SEG-Y, a column a trace,
 * or else little-endian float32 in columns of 401.
 *
 * @param metres - Between the file's numbers, down and across.
 * @throws FlagError for a section that is smaller than an image, and for what are no velocities. @throws SegyFormatError
 */
export async function readSections(
  path: string,
  metres: number,
  [height, width]: readonly [number, number],
): Promise<Float32Array[]> {
  const { columns, depths, values } = await readSection(path);
  const slowest = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  if (!(slowest > 0) || !values.every(Number.isFinite)) {
    throw new FlagError(
      `--marmousi: ${path} has numbers that are no velocities; expected some above 0.`,
    );
  }
  const step = spacing / metres;
  const count = Math.floor((columns - 1) / step / width);
  if (count === 0 || (depths - 1) / step < height - 1) {
    throw new FlagError(
      `--marmousi: ${path} is of ${columns} × ${depths} numbers, ${metres} m apart; expected a section of at ` +
        `least ${(width - 1) * spacing} × ${(height - 1) * spacing} m. --marmousi-spacing says how far they are.`,
    );
  }
  const unit = values.reduce((a, b) => Math.max(a, b), 0) > fastest ? 1000 : 1;
  const at = (across: number, down: number) => values[across * depths + down]! / unit;
  return Array.from({ length: count }, (_, section) =>
    Float32Array.from({ length: height * width }, (_, i) => {
      const across = (section * width + (i % width)) * step;
      const down = Math.floor(i / width) * step;
      return at(Math.round(across), Math.round(down));
    }),
  );
}

async function readSection(path: string): Promise<Section> {
  const bytes = await readFile(path);
  if (/\.se?gy$/i.test(path)) {
    const { shape, data } = parseSegy(bytes, path);
    return { columns: shape[0], depths: shape[1], values: data };
  }
  const columns = bytes.length / (4 * bareDepths);
  if (!Number.isInteger(columns) || columns === 0) {
    throw new FlagError(
      `--marmousi: ${path} has ${bytes.length} bytes; expected SEG-Y, named .sgy or .segy, or float32 in columns of ` +
        `${bareDepths}, ${4 * bareDepths} bytes each.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = Float32Array.from({ length: columns * bareDepths }, (_, i) =>
    view.getFloat32(4 * i, true),
  );
  return { columns, depths: bareDepths, values };
}
