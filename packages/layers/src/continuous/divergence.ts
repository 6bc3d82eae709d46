/** How the divergence of a velocity is found: options and probes. Mathematics: docs/math/continuous/velocity-field.md */
import { RandomStream, requireOneOf, type Tensor, ValueError } from '@invnet/tensor';
import { requireWhole } from '../core/checks.ts';
import { unitDirection } from '../residual/log-determinant.ts';

/** Options of what a divergence is found by. */
export interface DivergenceOptions {
  /**
   * `exact`: from the derivatives along all numbers of a sample, as many as there are. `hutchinson`: from one along random
   * signs (Hutchinson, 1990; Grathwohl et al., 2019), which is right in the mean. Default: `exact`.
   */
  readonly divergence?: 'exact' | 'hutchinson';
  /** Draws the signs of `hutchinson`. Default: drawn by `random`. */
  readonly seed?: number;
  /** Draws the seed, if none is given. Default: seed 0. */
  readonly random?: RandomStream;
}

/** The names of these options. */
export const divergenceOptions = ['divergence', 'seed'];

/** The options without `random`, a seed included where there is one. @throws ValueError for others. */
export function checkedDivergence(
  op: string,
  { divergence = 'exact', seed, random = new RandomStream(0) }: DivergenceOptions,
): Omit<DivergenceOptions, 'random'> {
  requireOneOf(op, 'divergence', divergence, ['exact', 'hutchinson']);
  if (divergence === 'exact') {
    if (seed === undefined) return { divergence };
    throw new ValueError(
      `${op}: seed is given, and divergence 'exact' draws nothing; expected none.`,
    );
  }
  if (seed !== undefined) requireWhole(op, 'seed', seed, 0);
  return { divergence, seed: seed ?? Math.floor(random.uniformArray(1)[0]! * 2 ** 24) };
}

/** The unit vectors of a sample, one at a time. */
export function* unitProbes(x: Tensor): Generator<Tensor> {
  for (let k = 0; k < x.size / x.shape[0]!; k++) yield unitDirection(k, x);
}
