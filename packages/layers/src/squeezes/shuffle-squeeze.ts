/** Squeezes that move numbers. Mathematics: docs/math/squeezes/shuffle-squeeze.md */
import { permute, requireOneOf, type Tensor } from '@invnet/tensor';
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

/**
 * A squeeze that moves numbers without changing them. `column` orders channels as c·2ᵈ + k, the
 * others as k·C + c, k being the position's number in the picture.
 *
 * @example
 * const { y } = new ShuffleSqueeze({ pattern: 'checkerboard' }).forward(x); // [N, C, H, W] → [N, 4C, H/2, W/2]
 */
export class ShuffleSqueeze extends Squeeze {
  static readonly type: string = 'ShuffleSqueeze';
  readonly pattern: ShufflePattern;

  /** @throws ValueError for an unknown pattern. */
  constructor(options: { readonly pattern?: ShufflePattern } = {}) {
    super();
    requireModuleOptions('ShuffleSqueeze', options, ['pattern']);
    const { pattern = 'checkerboard' } = options;
    requireOneOf('ShuffleSqueeze', 'pattern', pattern, ['column', 'patch', 'checkerboard']);
    this.pattern = pattern;
  }

  get options() {
    return { pattern: this.pattern };
  }

  protected squeeze(x: Tensor): Tensor {
    return this.pattern === 'column' ? x.reshape(squeezedShape(x.shape)) : gather(x, this.pattern);
  }

  protected unsqueeze(y: Tensor): Tensor {
    return this.pattern === 'column'
      ? y.reshape(unsqueezedShape(y.shape))
      : scatter(y, this.pattern);
  }
}

/** Moves the half-axes in front of the channels: [N, C, …] → [N, 2ᵈC, …/2]. */
export function gather(x: Tensor, pattern: 'patch' | 'checkerboard'): Tensor {
  const [n, c, ...sizes] = x.shape as [number, number, ...number[]];
  const { wide, choice, rest } = axesOf(pattern, sizes);
  return permute(x.reshape([n, c, ...wide]), [0, ...choice, 1, ...rest]).reshape(
    squeezedShape(x.shape),
  );
}

/** The inverse of `gather`. */
export function scatter(y: Tensor, pattern: 'patch' | 'checkerboard'): Tensor {
  const shape = unsqueezedShape(y.shape);
  const [n, c, ...sizes] = shape as [number, number, ...number[]];
  const { wide, choice, rest } = axesOf(pattern, sizes);
  const axes = [0, ...choice, 1, ...rest];
  const source = [n, c, ...wide];
  const back = source.map((_, i) => axes.indexOf(i));
  return permute(y.reshape(axes.map((a) => source[a]!)), back).reshape(shape);
}

/** Each spatial axis cut in two, and which of the halves choose the channel. */
function axesOf(pattern: 'patch' | 'checkerboard', sizes: readonly number[]) {
  const cut = (s: number) => (pattern === 'patch' ? [2, s / 2] : [s / 2, 2]);
  const first = sizes.map((_, i) => 2 + 2 * i);
  const second = sizes.map((_, i) => 3 + 2 * i);
  return {
    wide: sizes.flatMap(cut),
    choice: pattern === 'patch' ? first : second,
    rest: pattern === 'patch' ? second : first,
  };
}
