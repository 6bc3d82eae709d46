/** A row of the table of bijections, and what all rows share. */
import type { Bijection, PairShape } from '@invnet/layers';
import { RandomStream, type Shape, type Tensor } from '@invnet/tensor';

/** A bijection and the data to check it on. Maps of pairs come as `Flattened`. */
export interface Row {
  readonly name: string;
  readonly shape: Shape;
  readonly make: () => Bijection;
  /** Input of the given shape. Default: standard normal. */
  readonly draw?: (random: RandomStream, shape: Shape) => Tensor;
  /** Shape of the context; none by default. */
  readonly context?: Shape;
}

/** Spatial sizes, odd and non-square. */
export const odd = (ndims: number) => [[], [5], [3, 5], [2, 3, 3]][ndims]!;
/** Spatial sizes for what halves each axis once. */
export const even = (ndims: number) => [[], [6], [4, 6], [2, 4, 2]][ndims]!;
/** Spatial sizes for two scales. */
export const twice = (ndims: number) => [[], [8], [4, 8], [4, 4, 4]][ndims]!;

/** The shapes of a pair of one resolution, as `Flattened` takes them. */
export const pairOf = (a: number, b: number, size: Shape): PairShape => [
  [a, ...size],
  [b, ...size],
];

/** Draws weights. */
export const random = () => new RandomStream(3);
