/** Reductions over chosen axes. */
import type { ReduceOp, Reduction, Shape } from '../backend.ts';
import { requireBoolean, requireOptions } from '../checks.ts';
import { formatShape, formatValue, ShapeError } from '../errors.ts';
import { requireTensor, type Tensor } from '../tensor.ts';
import { affine } from './elementwise.ts';
import { wrap } from './operands.ts';

/** Which axes a reduction runs over: all by default; negative ones count from the end. */
export interface ReduceOptions {
  readonly axes?: readonly number[];
  /** Keeps reduced axes as sizes of 1. Default: false. */
  readonly keepDims?: boolean;
}

/** Σ x over the axes. @throws ShapeError for an axis that x has not. */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduce('sum', x, options);
}

/** Σ x² over the axes. */
export function sumSquares(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduce('sumSquares', x, options);
}

/** The largest value over the axes; NaN if any is NaN. */
export function max(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduce('max', x, options);
}

/** The mean over the axes. */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  using total = sum(x, options);
  return affine(total, total.size / x.size);
}

/** Σ x over everything but the batch axis: one number per sample, shape [N]. */
export function sumPerSample(x: Tensor): Tensor {
  if (requireTensor('sumPerSample', x).rank === 0) {
    throw new ShapeError(
      'sumPerSample: got a single number; expected samples along the first axis.',
    );
  }
  using flat = x.reshape([x.shape[0]!, -1]);
  return sum(flat, { axes: [1] });
}

/** ⟨a, b⟩-style sums over all but the channel axis 1, kept as [1, C, 1, …]. */
export function sumPerChannel(x: Tensor): Tensor {
  if (requireTensor('sumPerChannel', x).rank < 2) {
    throw new ShapeError(
      `sumPerChannel: got ${formatShape(x.shape)}; expected samples and channels, [N, C, …].`,
    );
  }
  return sum(x, { axes: x.shape.map((_, i) => i).filter((i) => i !== 1), keepDims: true });
}

function reduce(op: ReduceOp, x: Tensor, options: ReduceOptions): Tensor {
  requireTensor(op, x);
  requireOptions(op, options, ['axes', 'keepDims']);
  const { axes, keepDims = false } = options;
  requireBoolean(op, 'keepDims', keepDims);
  const reduced = x.shape.map(() => axes === undefined);
  if (axes !== undefined && !Array.isArray(axes)) {
    throw new ShapeError(`${op}: axes is ${formatValue(axes)}; expected a list such as [0, 2].`);
  }
  for (const axis of axes ?? []) {
    const i = Number.isInteger(axis) && axis < 0 ? axis + x.rank : axis;
    if (!Number.isInteger(axis) || reduced[i] === undefined) {
      throw new ShapeError(
        `${op}: axis ${formatValue(axis)} is not one of shape ${formatShape(x.shape)}.`,
      );
    }
    reduced[i] = true;
  }
  const shape: number[] = [];
  x.shape.forEach((s, i) => {
    if (!reduced[i]) shape.push(s);
    else if (keepDims) shape.push(1);
  });
  return wrap(shape, x.backend, x.backend.reduce(op, x.storage, collapse(x.shape, reduced)));
}

function collapse(shape: Shape, reduced: readonly boolean[]): Reduction {
  const sizes: number[] = [];
  const kinds: boolean[] = [];
  shape.forEach((size, i) => {
    if (size === 1) return;
    if (sizes.length > 0 && kinds.at(-1) === reduced[i]) sizes[sizes.length - 1]! *= size;
    else {
      sizes.push(size);
      kinds.push(reduced[i]!);
    }
  });
  return sizes.length > 0 ? { sizes, reduced: kinds } : { sizes: [1], reduced: [false] };
}
