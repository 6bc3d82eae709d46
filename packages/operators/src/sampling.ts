/** Which lines of k-space an accelerated scan takes. */
import {
  type RandomStream,
  requireAtLeast,
  requireBetween,
  requireOptions,
  requireStream,
  requireWhole,
  ValueError,
} from '@invnet/tensor';

/** Options of `cartesianLines`. */
export interface CartesianLinesOptions {
  /** Number of lines of a full scan, H. */
  readonly size: number;
  /** R ≥ 1: one of R lines is taken, ⌊H/R⌉ in all. */
  readonly acceleration: number;
  /** Share of all lines around the centre that are always taken, in [0, 1). Default: 0.08. */
  readonly center?: number;
  /** Draws the others, without replacement, all alike. */
  readonly random: RandomStream;
}

/**
 * Random lines with a fully sampled centre, in ascending order (the masks of fastMRI: Zbontar et al., 2018). Their
 * number is the same in every draw, so data of one `size` and `acceleration` have one shape.
 *
 * @throws ValueError for options out of range, or a centre of more lines than there are in all.
 * @example cartesianLines({ size: 128, acceleration: 4, random: new RandomStream(1) }) // 32 lines, 59 to 68 among them
 */
export function cartesianLines(options: CartesianLinesOptions): Uint32Array<ArrayBuffer> {
  requireOptions('cartesianLines', options, ['size', 'acceleration', 'center', 'random']);
  const { size, acceleration, center = 0.08, random } = options;
  requireWhole('cartesianLines', 'size', size, 1, 2 ** 16);
  requireAtLeast('cartesianLines', 'acceleration', acceleration, 1);
  requireBetween('cartesianLines', 'center', center, -Number.MIN_VALUE, 1);
  requireStream('cartesianLines', random);
  const count = Math.round(size / acceleration);
  const fixed = Math.round(size * center);
  if (count < 1 || fixed > count) {
    throw new ValueError(
      `cartesianLines: ${count} of ${size} lines at an acceleration of ${acceleration}, and ${fixed} in the ` +
        'centre; expected at least one, and no more in the centre than in all.',
    );
  }
  const start = Math.floor(size / 2) - Math.floor(fixed / 2);
  const others = Array.from(random.permutation(size - fixed), (i) => (i < start ? i : i + fixed));
  const lines = Uint32Array.from({ length: count }, (_, i) =>
    i < fixed ? start + i : others[i - fixed]!,
  );
  return lines.sort();
}
