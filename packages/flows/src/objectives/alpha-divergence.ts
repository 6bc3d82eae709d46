/** Fitting a flow to an energy by α-divergences. Mathematics: docs/math/flows/objectives.md */
import {
  add,
  affine,
  div,
  exp,
  formatValue,
  log,
  max,
  sub,
  sum,
  type Tensor,
  ValueError,
} from '@invnet/tensor';
import type { Flow } from '../flow.ts';
import { type EnergyLossOptions, energyLoss, requireEnergyLoss } from './draws.ts';
import type { Energy } from './energy.ts';

/** What `alphaDivergence` draws, and which divergence it is. */
export interface AlphaDivergenceOptions extends EnergyLossOptions {
  /**
   * The order, from −10 to 10, neither 0 nor 1 nor within a thousandth of them. Towards 0 the divergence becomes KL(q ‖ p), as `reverseKL`, which leaves modes out;
   * towards 1 KL(p ‖ q), which covers them all; ½ is Hellinger's distance, and 2 the variance of the weights.
   */
  readonly alpha: number;
}

/**
 * log(mean wᵅ)/(α(α − 1)) over samples x of the flow with weights w = e^(−U(x))/q(x), shape []: Rényi's divergence of p
 * from q over α, but for log Z/(α − 1) (Li and Turner, "Rényi divergence variational inference", 2016). mean wᵅ has no
 * bias; its logarithm and the gradients have one that falls as 1/N, so large batches are better here.
 *
 * The gradient along the path weighs samples by wᵅ and is otherwise that of `reverseKL` (Tucker, Lawson, Gu and
 * Maddison, "Doubly reparameterized gradient estimators", 2019); it needs no division by 1 − α.
 *
 * @throws ValueError for another α, and as `reverseKL`.
 * @example const loss = alphaDivergence(flow, energy, { alpha: 0.5, shape: [1024, 2], seed: random });
 */
export function alphaDivergence(
  flow: Flow,
  energy: Energy,
  options: AlphaDivergenceOptions,
): Tensor {
  requireEnergyLoss('alphaDivergence', flow, energy, options, ['alpha']);
  const { alpha, gradient } = options;
  requireAlpha(alpha);
  return energyLoss('alphaDivergence', flow, energy, options, (excess) => {
    const powers = affine(excess, -alpha);
    const largest = max(powers);
    const scaled = exp(sub(powers, largest));
    const total = sum(scaled);
    const shares = div(scaled, total);
    const logMean = affine(log(total), 1, -Math.log(excess.size));
    return {
      loss: affine(add(logMean, largest), 1 / (alpha * (alpha - 1))),
      weights: gradient === 'total' ? affine(shares, 1 / (1 - alpha)) : shares,
    };
  });
}

function requireAlpha(alpha: number): void {
  const apart = Math.min(Math.abs(alpha), Math.abs(alpha - 1));
  if (Math.abs(alpha) <= 10 && apart >= 1e-3) return;
  throw new ValueError(
    `alphaDivergence: alpha is ${formatValue(alpha)}; expected a number from −10 to 10, neither 0, which reverseKL is ` +
      'for, nor 1, nor within 0.001 of them.',
  );
}
