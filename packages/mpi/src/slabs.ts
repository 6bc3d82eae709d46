/**
 * How a volume is cut into slabs along one axis, one for each rank, at every resolution.
 *
 * Left out: numbers. A squeeze halves all slabs alike, so sizes at another resolution are the first
 * ones times one fraction, and each rank knows those of all others without asking.
 */
import {
  checkShape,
  formatShape,
  requireOptions,
  requireWhole,
  type Shape,
  ShapeError,
  sizeOf,
  ValueError,
} from '@invnet/tensor';

/** Which of depth, height and width a convolution has along the split axis. */
export type SpatialIndex = 0 | 1 | 2;

/** How to cut. */
export interface SlabOptions {
  /** Size of the whole volume along the axis. */
  readonly size: number;
  /** The axis of its tensors that is split, from 2, the first behind samples and channels. Default: 2. */
  readonly axis?: number;
  /** Number of spatial axes, 1 to 3. Default: 2. */
  readonly ndims?: number;
  /** Slabs are a multiple of it: of 2ᴸ for a network that squeezes L times. Default: 1. */
  readonly multiple?: number;
}

/** The names of the options. */
export const slabOptions = ['size', 'axis', 'ndims', 'multiple'];

/** Numbers that lie side by side in a slab and in the whole. */
export interface Run {
  readonly inSlab: number;
  readonly inWhole: number;
  readonly length: number;
}

/** A cut of a volume, as one of the ranks sees it. */
export class Slabs {
  readonly axis: number;
  readonly ndims: number;
  readonly rank: number;
  /** Sizes of the slabs, in the order of ranks: as even as multiples allow, larger ones first. */
  readonly sizes: readonly number[];

  /** @throws ValueError for an axis that there is not, a size that is no multiple, or ranks without a slab. */
  constructor(ranks: number, rank: number, options: SlabOptions) {
    requireOptions('split', options, slabOptions);
    const { size, axis = 2, ndims = 2, multiple = 1 } = options;
    requireWhole('split', 'size', size, 1);
    requireWhole('split', 'ndims', ndims, 1, 3);
    requireWhole('split', 'axis', axis, 2, ndims + 1);
    requireWhole('split', 'multiple', multiple, 1);
    this.axis = axis;
    this.ndims = ndims;
    this.rank = rank;
    this.sizes = sizesOf(size, multiple, ranks);
  }

  /** The axis among depth, height and width. */
  get index(): SpatialIndex {
    return spatialIndices[this.axis + 1 - this.ndims]!;
  }

  /** All slabs at the resolution where that of this rank has `rows`. @throws ShapeError where one is not whole. */
  at(rows: number): readonly number[] {
    const own = this.sizes[this.rank]!;
    if (this.sizes.every((size) => (size * rows) % own === 0)) {
      return this.sizes.map((size) => (size * rows) / own);
    }
    throw new ShapeError(
      `split: got ${rows} rows along axis ${this.axis} at rank ${this.rank}, whose slab has ${own}; with as ` +
        `much of each of ${this.sizes.join(', ')} not all ranks have whole rows. Expected data of the volume ` +
        'that was split, at resolutions that its `multiple` allows.',
    );
  }

  /** The shape of this rank's slab of a tensor. @throws ShapeError for one of another volume. */
  slabShape(whole: Shape): Shape {
    const shape = this.#checked(whole);
    const total = this.sizes.reduce((sum, size) => sum + size, 0);
    const sizes = this.sizes.map((size) => (size * shape[this.axis]!) / total);
    if (sizes.every(Number.isInteger)) return shape.with(this.axis, sizes[this.rank]!);
    throw new ShapeError(
      `split: got ${formatShape(shape)}; expected ${total} along axis ${this.axis}, or as much of it as ` +
        `leaves whole rows of each of ${this.sizes.join(', ')}.`,
    );
  }

  /** The shape of the whole that a slab of this rank is part of. @throws ShapeError */
  wholeShape(slab: Shape): Shape {
    const shape = this.#checked(slab);
    const sizes = this.at(shape[this.axis]!);
    return shape.with(
      this.axis,
      sizes.reduce((sum, size) => sum + size, 0),
    );
  }

  /** Where the numbers of a rank's slab lie in a whole of this shape. */
  runs(whole: Shape, rank = this.rank): readonly Run[] {
    const sizes = this.at(this.slabShape(whole)[this.axis]!);
    const before = sizeOf(whole.slice(0, this.axis));
    const inner = sizeOf(whole.slice(this.axis + 1));
    const start = sizes.slice(0, rank).reduce((sum, size) => sum + size, 0);
    const length = sizes[rank]! * inner;
    return Array.from({ length: before }, (_, i) => ({
      inSlab: i * length,
      inWhole: (i * whole[this.axis]! + start) * inner,
      length,
    }));
  }

  #checked(shape: Shape): Shape {
    const own = checkShape('split', shape);
    if (own.length === this.ndims + 2) return own;
    throw new ShapeError(
      `split: got ${formatShape(own)}; expected samples, channels and ${this.ndims} spatial axes, its ndims.`,
    );
  }
}

const spatialIndices: readonly SpatialIndex[] = [0, 1, 2];

function sizesOf(size: number, multiple: number, ranks: number): readonly number[] {
  const pieces = size / multiple;
  if (!Number.isInteger(pieces)) {
    throw new ValueError(
      `split: size is ${size}; expected a multiple of ${multiple}, of which slabs are made.`,
    );
  }
  if (pieces < ranks) {
    throw new ValueError(
      `split: ${size} rows are ${pieces} slabs of ${multiple} for ${ranks} ranks; expected at least ` +
        `${ranks * multiple} rows, or at most ${pieces} ranks.`,
    );
  }
  return Array.from(
    { length: ranks },
    (_, rank) => multiple * (Math.floor(pieces / ranks) + (rank < pieces % ranks ? 1 : 0)),
  );
}
