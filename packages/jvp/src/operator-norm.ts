/** The largest singular value of an operator. */
import { RandomStream, requireAtLeast, requireOptions, requireWhole } from '@invnet/tensor';
import { type LinearOperator, requireOperator } from './linear-operator.ts';
import { disposeVector, normalize, randomOf, type Vector } from './vector.ts';

/** Options of `operatorNorm`. */
export interface OperatorNormOptions {
  /** Relative change at which it stops. Default: 1e-4. */
  readonly tolerance?: number;
  /** Default: 100. */
  readonly maxIterations?: number;
  /** Seed of the starting vector. Default: 0. */
  readonly seed?: number;
}

/**
 * ‖A‖ by power iteration on AᵀA, from below. Gradient steps on ‖A x − b‖²/2 are stable up to 2/‖A‖².
 *
 * @throws ValueError for options out of range.
 * @example const step = 1 / (await operatorNorm(J)) ** 2;
 */
export async function operatorNorm(
  A: LinearOperator,
  options: OperatorNormOptions = {},
): Promise<number> {
  requireOptions('operatorNorm', options, ['tolerance', 'maxIterations', 'seed']);
  const { tolerance = 1e-4, maxIterations = 100, seed = 0 } = options;
  requireAtLeast('operatorNorm', 'tolerance', tolerance, 0);
  requireWhole('operatorNorm', 'maxIterations', maxIterations, 1);
  requireOperator('operatorNorm', A);
  let v: Vector = randomOf(A.domain, new RandomStream(seed));
  try {
    // An empty domain, such as that of a network whose parameters are all frozen.
    if ((await normalize(v)) === 0) return 0;
    let norm = 0;
    for (let iteration = 0; iteration < maxIterations; iteration++) {
      const Av = A.apply(v);
      let next: number;
      try {
        next = await normalize(Av);
        const back = A.adjoint.apply(Av);
        disposeVector(v);
        v = back;
      } finally {
        disposeVector(Av);
      }
      const size = await normalize(v);
      const settled = Math.abs(next - norm) <= tolerance * next;
      norm = next;
      if (settled || size === 0) break;
    }
    return norm;
  } finally {
    disposeVector(v);
  }
}
