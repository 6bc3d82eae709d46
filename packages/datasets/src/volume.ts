/**
 * Volumes of medical scanners in memory: numbers on a grid, and where that grid lies in the patient. What the
 * readers of NIfTI and DICOM give, and how it is turned so that its axes are known.
 *
 * Left out: resampling. Voxels are put in another order, never interpolated.
 */
import {
  formatShape,
  formatValue,
  requireList,
  requireRecord,
  ShapeError,
  ValueError,
} from '@invnet/tensor';

/** Numbers on a grid in space. */
export interface Volume {
  /** [slices, rows, columns]; a file of several volumes, over time for instance, has more sizes before these. */
  readonly shape: readonly number[];
  /** Row-major: columns vary fastest. What the file says of slope and intercept is applied. */
  readonly data: Float32Array<ArrayBuffer>;
  /** Where voxels lie. */
  readonly affine: Affine;
  /** Distances in mm between slices, between rows and between columns. */
  readonly spacing: readonly [number, number, number];
}

/**
 * Three rows of four numbers: the voxel in column i, row j and slice k lies at row · (i, j, k, 1), in mm to the
 * patient's right, anterior and superior, a row each.
 */
export type Affine = readonly [AffineRow, AffineRow, AffineRow];
export type AffineRow = readonly [number, number, number, number];

/** The row of an affine map that tells of a direction, and its sign there. */
const directions: Readonly<Record<string, readonly [0 | 1 | 2, 1 | -1]>> = {
  R: [0, 1],
  L: [0, -1],
  A: [1, 1],
  P: [1, -1],
  S: [2, 1],
  I: [2, -1],
};

/**
 * The same volume with its axes in a wanted order. Three letters say to where columns, rows and slices increase:
 * right or left, anterior or posterior, superior or inferior. As radiologists look at them, `LPS` makes axial
 * slices, `LIP` coronal and `PIL` sagittal ones. In an oblique volume each direction is given to the axis that is
 * closest to it.
 *
 * @throws ValueError for letters that do not name three axes, or what is no volume.
 * @throws ShapeError for data of another size than the shape's.
 * @example
 * const coronal = orientVolume(volume, 'LIP');
 * const [slices, rows, columns] = coronal.shape;
 * const front = coronal.data.subarray(0, rows * columns); // its top is the top of the head
 */
export function orientVolume(volume: Volume, axes: string): Volume {
  const { shape, data, affine } = requireVolume('orientVolume', volume);
  const wanted = typeof axes === 'string' ? [...axes].map((letter) => directions[letter]) : [];
  if (wanted.length !== 3 || new Set(wanted.map((w) => w?.[0] ?? -1)).size !== 3) {
    throw axesError(axes);
  }
  const sizes = shape.slice(-3).reverse();
  const strides = [1, sizes[0]!, sizes[0]! * sizes[1]!];
  const closest = closestAxes(affine);
  const walks = wanted.map((direction) => {
    if (!direction) throw axesError(axes);
    const [row, sign] = direction;
    const axis = closest[row];
    const flipped = affine[row][axis] * sign < 0;
    const last = strides[axis]! * (sizes[axis]! - 1);
    return flipped
      ? { axis, size: sizes[axis]!, step: -strides[axis]!, start: last }
      : { axis, size: sizes[axis]!, step: strides[axis]!, start: 0 };
  });
  const [i, j, k] = walks as [Walk, Walk, Walk];
  const turned = new Float32Array(data.length);
  const voxels = i.size * j.size * k.size;
  let to = 0;
  for (let first = i.start + j.start + k.start; to < data.length; first += voxels) {
    for (let z = 0; z < k.size; z++) {
      for (let y = 0; y < j.size; y++) {
        let from = first + z * k.step + y * j.step;
        for (let x = 0; x < i.size; x++, from += i.step) turned[to++] = data[from]!;
      }
    }
  }
  const [right, anterior, superior] = affine.map((row): AffineRow => {
    const [u, v, w] = [i, j, k].map(({ axis, step }) => Math.sign(step) * row[axis]! + 0);
    const shift = [i, j, k].map(({ axis, size, start }) => (start ? row[axis]! * (size - 1) : 0));
    return [u!, v!, w!, shift.reduce((a, b) => a + b, row[3])];
  });
  return volumeOf([...shape.slice(0, -3), k.size, j.size, i.size], turned, [
    right!,
    anterior!,
    superior!,
  ]);
}

/** How an axis of a volume is walked along in another order. */
interface Walk {
  readonly axis: 0 | 1 | 2;
  readonly size: number;
  readonly step: number;
  readonly start: number;
}

/** A volume whose spacing is that of its affine map. */
export function volumeOf(
  shape: readonly number[],
  data: Float32Array<ArrayBuffer>,
  affine: Affine,
): Volume {
  const spacing = (axis: 0 | 1 | 2) => Math.hypot(...affine.map((row) => row[axis]));
  return { shape, data, affine, spacing: [spacing(2), spacing(1), spacing(0)] };
}

/** Are these three rows of four finite numbers that span space? */
export function isAffine(value: unknown): value is Affine {
  if (!Array.isArray(value) || value.length !== 3) return false;
  const finite = Array.from(value).every(
    (row) => Array.isArray(row) && row.length === 4 && Array.from(row).every(Number.isFinite),
  );
  return finite && Math.abs(determinant(value)) > 0;
}

function determinant([a, b, c]: number[][]): number {
  const minor = (x: number, y: number) => b![x]! * c![y]! - b![y]! * c![x]!;
  return a![0]! * minor(1, 2) - a![1]! * minor(0, 2) + a![2]! * minor(0, 1);
}

/** For each row of an affine map the column that is closest to it, each column once. */
function closestAxes(affine: Affine): [0 | 1 | 2, 0 | 1 | 2, 0 | 1 | 2] {
  const cosine = (row: 0 | 1 | 2, axis: 0 | 1 | 2) =>
    Math.abs(affine[row][axis]) / Math.hypot(...affine.map((r) => r[axis]));
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ] as const;
  const fit = (order: (typeof orders)[number]) =>
    cosine(0, order[0]) + cosine(1, order[1]) + cosine(2, order[2]);
  return [...orders.reduce((best, order) => (fit(order) > fit(best) ? order : best))];
}

function requireVolume(op: string, volume: Volume): Volume {
  requireRecord(op, 'the volume', volume);
  const { shape, data, affine } = volume;
  requireList(op, "the volume's shape", shape, '[slices, rows, columns]');
  if (shape.length < 3 || !shape.every((s) => Number.isSafeInteger(s) && s > 0)) {
    throw new ValueError(
      `${op}: the volume's shape is ${formatValue(shape)}; expected [slices, rows, columns].`,
    );
  }
  if (!(data instanceof Float32Array)) {
    throw new ValueError(
      `${op}: the volume's data are ${formatValue(data)}; expected a Float32Array.`,
    );
  }
  if (data.length !== shape.reduce((a, b) => a * b, 1)) {
    throw new ShapeError(
      `${op}: the volume has ${data.length} numbers; expected as many as its shape ${formatShape(shape)} has.`,
    );
  }
  if (!isAffine(affine)) {
    throw new ValueError(
      `${op}: the volume's affine is ${formatValue(affine)}; expected three rows of four finite ` +
        'numbers that span space.',
    );
  }
  return volume;
}

function axesError(axes: unknown): ValueError {
  return new ValueError(
    `orientVolume: axes is ${formatValue(axes)}; expected three letters, one of R and L, one of A and P, ` +
      "and one of S and I in any order, such as 'LPS'.",
  );
}
