/**
 * Which rows of its neighbours a slab needs for a convolution and its two adjoints, and the convolution
 * that is left to run on the slab with them. Mathematics: docs/math/mpi/halo-exchange.md
 *
 * Left out: how rows come.
 */
import { type ConvGeometry, ShapeError, type Triple } from '@invnet/tensor';
import type { SpatialIndex } from './slabs.ts';

/** Rows to put around a slab. */
export interface Halo {
  /** Rows of the ranks before and after. */
  readonly before: number;
  readonly after: number;
}

/** A halo, rows of zeros beyond it, and the convolution of what that makes. */
export interface HaloConv extends Halo {
  readonly zerosBefore: number;
  readonly zerosAfter: number;
  readonly geometry: ConvGeometry;
}

/** Does every output depend on the input at its own place alone? */
export function isPointwise(g: ConvGeometry): boolean {
  return [0, 1, 2].every((i) => g.kernel[i] === 1 && g.stride[i] === 1 && g.padding[i] === 0);
}

/**
 * Of x, for `conv` and `convFilterGrad`: before its first row p rows, behind its last k − s − p.
 *
 * @throws ShapeError for padding with which slabs of outputs would not join to those of the whole.
 */
export function inputHalo(g: ConvGeometry, axis: SpatialIndex): HaloConv {
  const { rows, k, s, p } = along(g, axis);
  const after = Math.max(0, k - s - p);
  const input = set(g.input, axis, rows + p + after);
  const geometry = { ...g, input, padding: set(g.padding, axis, 0) };
  return { before: p, after, zerosBefore: 0, zerosAfter: 0, geometry };
}

/**
 * Of dy, for `convInputGrad`: the outputs of other slabs that this slab's inputs reach. Rows of zeros make
 * of them a convolution with equal padding on both sides; what they would add to lies outside.
 *
 * @throws ShapeError as `inputHalo`.
 */
export function outputHalo(g: ConvGeometry, axis: SpatialIndex): HaloConv {
  const { rows, k, s, p } = along(g, axis);
  const before = Math.floor((k - 1 - p) / s);
  const after = Math.ceil(p / s);
  // With q rows before and o in all, o = ⌊(rows + 2(p + s·q) − k)/s⌋ + 1 shall hold; q more makes o one more
  // on the left and two on the right.
  const outputs = rows / s + before + after;
  const fits = Math.floor((rows + 2 * (p + s * before) - k) / s) + 1;
  const zerosBefore = Math.max(0, outputs - fits);
  const zerosAfter = Math.max(0, fits - outputs);
  const geometry = {
    ...g,
    output: set(g.output, axis, outputs + zerosBefore + zerosAfter),
    padding: set(g.padding, axis, p + s * (before + zerosBefore)),
  };
  return { before, after, zerosBefore, zerosAfter, geometry };
}

function along(g: ConvGeometry, axis: SpatialIndex) {
  const [rows, k, s, p] = [g.input[axis], g.kernel[axis], g.stride[axis], g.padding[axis]];
  if (k - s > 2 * p || 2 * p >= k) {
    throw new ShapeError(
      `split: a convolution with kernel ${k}, stride ${s} and padding ${p} along the split axis changes the ` +
        `size by more than its stride; expected a padding of at least ${Math.ceil(Math.max(0, k - s) / 2)}, ` +
        `and less than ${k / 2}, so that the slabs of its outputs join.`,
    );
  }
  if (rows % s !== 0) {
    throw new ShapeError(
      `split: a convolution with stride ${s} got a slab of ${rows} rows; expected a multiple of ${s}: ` +
        'split the volume with a `multiple` that has it.',
    );
  }
  return { rows, k, s, p };
}

function set(triple: Triple, index: SpatialIndex, value: number): Triple {
  const at = (i: SpatialIndex) => (i === index ? value : triple[i]);
  return [at(0), at(1), at(2)];
}

/** Rows of the slab of a rank, counted from its first; or of this one, of which that rank needs them. */
export interface RowsOfRank {
  readonly rank: number;
  readonly start: number;
  readonly rows: number;
}

/** Who sends what to whom, seen from one rank: slabs thinner than a halo are reached across. */
export interface Transfers {
  /** Rows of this slab that others need. */
  readonly send: readonly RowsOfRank[];
  /** Rows of others before and behind this slab, in the order of the volume. */
  readonly before: readonly RowsOfRank[];
  readonly after: readonly RowsOfRank[];
  /** Rows of the halo that lie outside of the volume. */
  readonly outsideBefore: number;
  readonly outsideAfter: number;
}

/** The transfers of a halo around slabs of these sizes. */
export function transfers(sizes: readonly number[], rank: number, halo: Halo): Transfers {
  const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + size, 0));
  const end = (r: number) => starts[r]! + sizes[r]!;
  const total = end(sizes.length - 1);
  const around = (r: number) =>
    [
      [starts[r]! - halo.before, starts[r]!],
      [end(r), end(r) + halo.after],
    ] as const;
  /** What the slab of a rank has of the rows from `first` to `last`. */
  const part = (r: number, [first, last]: readonly [number, number]): RowsOfRank => {
    const start = Math.max(first, starts[r]!);
    return { rank: r, start: start - starts[r]!, rows: Math.min(last, end(r)) - start };
  };
  const present = ({ rows }: RowsOfRank) => rows > 0;
  const ranks = [...sizes.keys()];
  const [before, after] = around(rank).map((side) =>
    ranks.map((r) => part(r, side)).filter(present),
  );
  return {
    send: ranks
      .flatMap((r) => around(r).map((side) => ({ ...part(rank, side), rank: r })))
      .filter(present),
    before: before!,
    after: after!,
    outsideBefore: Math.max(0, halo.before - starts[rank]!),
    outsideAfter: Math.max(0, end(rank) + halo.after - total),
  };
}
