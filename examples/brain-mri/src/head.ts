/** The head that is trained on: Colin27's brain, and how far from it each place is. */
import { readFile } from 'node:fs/promises';
import { colin27 } from '@invnet/data-colin27';
import { orientVolume } from '@invnet/datasets';
import { parseNifti } from '@invnet/datasets/nifti';
import { distanceTo, type Grid } from './grid.ts';

/** Of one person; axes run to the right, to the back and down, a millimetre per node. */
export interface Head {
  /** T1-weighted intensities from 0 to 1, without skull. */
  readonly brain: Grid;
  /** Millimetres to the brain, on a grid of `step` millimetres that starts `margin` before the brain's. */
  readonly distance: Grid;
}

/** Millimetres between the nodes of `distance`. */
export const step = 2;
/** Millimetres that `distance` reaches beyond the brain's grid, on all sides. */
export const margin = 40;

/** Reads Colin27. @throws NiftiFormatError when its file is damaged. */
export async function loadHead(): Promise<Head> {
  const file = await parseNifti(await readFile(colin27), { name: 'colin27' });
  const { shape, data } = orientVolume(file, 'IPR');
  const largest = data.reduce((a, b) => Math.max(a, b), 0);
  const [nx, ny, nz] = shape as [number, number, number];
  const brain: Grid = { size: [nx, ny, nz], values: data.map((v) => v / largest) };
  return { brain, distance: distanceAround(brain) };
}

function distanceAround({ size: [nx, ny, nz], values }: Grid): Grid {
  const nodes = (n: number) => Math.ceil((n + 2 * margin) / step);
  const size = [nodes(nx), nodes(ny), nodes(nz)] as const;
  const inside = new Float32Array(size[0] * size[1] * size[2]);
  for (let i = 0, at = 0; i < size[0]; i++) {
    for (let j = 0; j < size[1]; j++) {
      for (let k = 0; k < size[2]; k++, at++) {
        const [x, y, z] = [i * step - margin, j * step - margin, k * step - margin];
        const within = x >= 0 && y >= 0 && z >= 0 && x < nx && y < ny && z < nz;
        if (within) inside[at] = values[(x * ny + y) * nz + z]!;
      }
    }
  }
  const distance = distanceTo({ size, values: inside });
  return { size, values: distance.values.map((d) => d * step) };
}
