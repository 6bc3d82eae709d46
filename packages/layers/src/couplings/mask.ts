/** Masks: which numbers of a sample stay in a coupling and condition the others, as plain data. */
import {
  formatShape,
  formatValue,
  RandomStream,
  requireList,
  requireOneOf,
  requireOptions,
  type Shape,
  ShapeError,
  sizeOf,
  ValueError,
} from '@invnet/tensor';
import { requireSpatialSizes, requireWhole } from '../core/checks.ts';

/**
 * `checkerboard`: what stays are the positions whose indices add up to an even number, in all channels, at any
 * size. Else a mask of the shape of a sample, [C, …size], or of the channels alone, [C]: `stays` lists it row
 * by row, 1 for what stays and 0 for what moves; or a `seed` draws a random half that stays.
 */
export type Mask =
  | 'checkerboard'
  | { readonly shape: Shape; readonly stays: readonly number[] }
  | { readonly shape: Shape; readonly seed: number };

/** Ones where numbers stay, to broadcast over samples: of one channel for all where they are alike. */
export interface MaskValues {
  /** [1, C, …size], [1, C, 1, …] or [1, 1, …size]. */
  readonly shape: Shape;
  readonly stays: Float64Array;
  /** How many numbers of a sample stay. */
  readonly count: number;
}

/** A mask that was checked: what makes it again, and its values for data of a shape. */
export interface MaskRule {
  readonly mask: Mask;
  /** @throws ShapeError for data that it is not for. */
  of(x: Shape): MaskValues;
}

/** @throws ValueError for a mask that leaves nothing to condition on or nothing to move. */
export function maskRule(op: string, mask: Mask, channels: number): MaskRule {
  if (typeof mask === 'string') {
    requireOneOf(op, 'mask', mask, ['checkerboard']);
    return { mask, of: (x) => checkerboard(op, x) };
  }
  requireOptions(`${op}: mask`, mask, ['shape', 'seed', 'stays']);
  const { shape } = mask;
  requireList(op, 'mask.shape', shape);
  requireSpatialSizes(op, 'mask.shape', shape.slice(1));
  const size = sizeOf(shape);
  if (shape[0] !== channels || size < 2) {
    throw new ValueError(
      `${op}: mask.shape is ${formatShape(shape)}; expected that of a sample, [${channels}, …], or [${channels}], ` +
        'of two numbers or more.',
    );
  }
  if ('seed' in mask && 'stays' in mask) {
    throw new ValueError(`${op}: mask has both stays and seed; expected one of them.`);
  }
  const stays = 'seed' in mask ? drawn(op, mask.seed, size) : listed(op, mask.stays, shape);
  return {
    mask:
      'seed' in mask
        ? { shape: [...shape], seed: mask.seed }
        : { shape: [...shape], stays: [...stays] },
    of: ([, ...sample]) => {
      const alike = shape.length === 1 ? shape : sample;
      if (formatShape(alike) !== formatShape(shape)) {
        throw new ShapeError(
          `${op}: got samples of ${formatShape(sample)} for a mask of ${formatShape(shape)}; expected its shape.`,
        );
      }
      const positions = sizeOf(sample) / size;
      const count = stays.reduce((sum, v) => sum + v, 0) * positions;
      const spread = shape.length === 1 ? sample.slice(1).map(() => 1) : [];
      return { shape: [1, ...shape, ...spread], stays, count };
    },
  };
}

function checkerboard(op: string, [, channels = 0, ...size]: Shape): MaskValues {
  const positions = sizeOf(size);
  if (positions < 2) {
    throw new ShapeError(
      `${op}: got ${positions === 1 && size.length === 0 ? 'vectors' : 'a single position'} for a checkerboard, ` +
        'which leaves nothing to move; expected data of several positions, or a mask of channels.',
    );
  }
  const stays = Float64Array.from({ length: positions }, (_, at) => {
    let [rest, sum] = [at, 0];
    for (const s of size.toReversed()) {
      sum += rest % s;
      rest = Math.floor(rest / s);
    }
    return 1 - (sum % 2);
  });
  return { shape: [1, 1, ...size], stays, count: channels * Math.ceil(positions / 2) };
}

/** A random half, the smaller one of an odd number. */
function drawn(op: string, seed: number, size: number): Float64Array {
  requireWhole(op, 'mask.seed', seed, 0);
  const stays = new Float64Array(size);
  for (const at of new RandomStream(seed).permutation(size).subarray(0, size >> 1)) stays[at] = 1;
  return stays;
}

function listed(op: string, stays: readonly number[], shape: Shape): Float64Array {
  requireList(op, 'mask.stays', stays, 'a list of zeros and ones');
  const size = sizeOf(shape);
  if (stays.length !== size) {
    throw new ValueError(
      `${op}: mask.stays has ${stays.length} numbers; expected ${size}, of ${formatShape(shape)}.`,
    );
  }
  for (const [i, v] of stays.entries()) {
    if (v === 0 || v === 1) continue;
    throw new ValueError(`${op}: mask.stays[${i}] is ${formatValue(v)}; expected 0 or 1.`);
  }
  if (stays.includes(0) && stays.includes(1)) return Float64Array.from(stays);
  throw new ValueError(
    `${op}: mask.stays is ${stays[0]} everywhere, which leaves nothing to ` +
      `${stays[0] === 0 ? 'condition on' : 'move'}; expected both zeros and ones.`,
  );
}
