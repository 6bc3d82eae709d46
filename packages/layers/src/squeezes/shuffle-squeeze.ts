/** Squeezes that move numbers. Mathematics: docs/math/squeezes/shuffle-squeeze.md */
import { permute, requireOneOf, type Shape, sizeOf, type Tensor } from '@invnet/tensor';
import { requireModuleOptions } from '../core/checks.ts';
import { Squeeze, squeezedShape, unsqueezedShape } from './squeeze.ts';

/**
 * Which positions become channels, on a 4×4 image (numbers are output channels):
 * ```
 * column    patch     checkerboard
 * 1 1 1 1   1 1 2 2   1 2 1 2
 * 2 2 2 2   1 1 2 2   3 4 3 4
 * 3 3 3 3   3 3 4 4   1 2 1 2
 * 4 4 4 4   3 3 4 4   3 4 3 4
 * ```
 * `column` cuts the row-major memory of each channel into equal runs; `patch` takes quadrants;
 * `checkerboard` takes every second position along each axis.
 */
export type ShufflePattern = 'column' | 'patch' | 'checkerboard';

/** Where position k of channel c goes: `position` is k·C + c, `channel` is c·2ᵈ + k. */
export type SqueezeOrder = 'position' | 'channel';

/** Options of `ShuffleSqueeze`. */
export interface ShuffleSqueezeOptions {
  /** Default: `checkerboard`. */
  readonly pattern?: ShufflePattern;
  /** Default: `channel` for `column`, which copies nothing then, and `position` for the others. */
  readonly order?: SqueezeOrder;
}

/**
 * A squeeze that moves numbers without changing them. Position k of channel c, k being its number in the
 * picture, becomes channel k·C + c or c·2ᵈ + k, by `order`.
 *
 * @example
 * const { y } = new ShuffleSqueeze({ pattern: 'checkerboard' }).forward(x); // [N, C, H, W] → [N, 4C, H/2, W/2]
 */
export class ShuffleSqueeze extends Squeeze {
  static readonly type: string = 'ShuffleSqueeze';
  readonly pattern: ShufflePattern;
  readonly order: SqueezeOrder;
  /** Files from before there was a choice have none, so what is left out stays out. */
  readonly #orderGiven: boolean;

  /** @throws ValueError for an unknown pattern or order. */
  constructor(options: ShuffleSqueezeOptions = {}) {
    super();
    requireModuleOptions('ShuffleSqueeze', options, ['pattern', 'order']);
    const { pattern = 'checkerboard', order = pattern === 'column' ? 'channel' : 'position' } =
      options;
    requireOneOf('ShuffleSqueeze', 'pattern', pattern, ['column', 'patch', 'checkerboard']);
    requireOneOf('ShuffleSqueeze', 'order', order, ['position', 'channel']);
    this.pattern = pattern;
    this.order = order;
    this.#orderGiven = options.order !== undefined;
  }

  get options() {
    const { pattern, order } = this;
    return { pattern, ...(this.#orderGiven && { order }) };
  }

  protected squeeze(x: Tensor): Tensor {
    return gather(x, this.pattern, this.order);
  }

  protected unsqueeze(y: Tensor): Tensor {
    return scatter(y, this.pattern, this.order);
  }
}

/** Moves the half-axes to the channels: [N, C, …] → [N, 2ᵈC, …/2]. */
export function gather(x: Tensor, pattern: ShufflePattern, order: SqueezeOrder): Tensor {
  const squeezed = squeezedShape(x.shape);
  const { wide, axes } = axesOf(x.shape, pattern, order);
  return axes ? permute(x.reshape(wide), axes).reshape(squeezed) : x.reshape(squeezed);
}

/** The inverse of `gather`. */
export function scatter(y: Tensor, pattern: ShufflePattern, order: SqueezeOrder): Tensor {
  const shape = unsqueezedShape(y.shape);
  const { wide, axes } = axesOf(shape, pattern, order);
  if (!axes) return y.reshape(shape);
  const back = wide.map((_, i) => axes.indexOf(i));
  return permute(y.reshape(axes.map((a) => wide[a]!)), back).reshape(shape);
}

/** The shape with its axes cut, and their order in the result; none where it is the same. */
function axesOf([n, c, ...sizes]: Shape, pattern: ShufflePattern, order: SqueezeOrder) {
  const { cut, choice, rest } = halfAxes(pattern, sizes);
  const channel = order === 'channel';
  return {
    wide: [n!, c!, ...cut],
    axes:
      channel && pattern === 'column'
        ? undefined
        : [0, ...(channel ? [1, ...choice] : [...choice, 1]), ...rest],
  };
}

/** How the spatial axes are cut, and which of the pieces choose the channel. */
function halfAxes(pattern: ShufflePattern, sizes: readonly number[]) {
  if (pattern === 'column') {
    const bands = 2 ** sizes.length;
    return { cut: [bands, sizeOf(sizes) / bands], choice: [2], rest: [3] };
  }
  const first = sizes.map((_, i) => 2 + 2 * i);
  const second = sizes.map((_, i) => 3 + 2 * i);
  return {
    cut: sizes.flatMap((s) => (pattern === 'patch' ? [2, s / 2] : [s / 2, 2])),
    choice: pattern === 'patch' ? first : second,
    rest: pattern === 'patch' ? second : first,
  };
}
