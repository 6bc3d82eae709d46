/** Fitting a flow to an energy by the reverse Kullback–Leibler divergence. Mathematics: docs/math/flows/objectives.md */
import { full, mean, type Tensor } from '@invnet/tensor';
import type { Flow } from '../flow.ts';
import { type EnergyLossOptions, energyLoss, requireEnergyLoss } from './draws.ts';
import type { Energy } from './energy.ts';

/**
 * mean(U(x) + log q(x)) over samples x of the flow, shape []: an estimate of KL(q ‖ p) − log Z, which is at least
 * −log Z. No data are needed. Its gradients are added to the parameters by invertible backpropagation, those of the
 * base among them: nothing is kept of the samples but themselves.
 *
 * By default the gradient is that along the path (Roeder, Wu and Duvenaud, "Sticking the landing", 2017; Vaitl,
 * Nicoli, Nakajima and Kessel, "Gradients should stay on path", 2022): without the term ∇θ log q(x) at a given x, whose
 * mean is 0. Each sample's gradient vanishes where q = p, so there is no noise left at the end.
 *
 * A flow fitted this way may leave modes out, which it does not tell: see `importanceSample`, and `alphaDivergence`.
 *
 * A training loss: a network that was not initialized is, on samples, before anything else.
 *
 * @throws NonFiniteEnergyError with the number of samples, where the backend reads at once; elsewhere the loss is not
 * finite, as `train` says. @throws ShapeError, ValueError for wrong arguments, and for what an energy gave.
 * @example
 * const random = new RandomStream(1);
 * zeroGrad(flow.parameters);
 * const loss = reverseKL(flow, energyOf(funnel()), { shape: [256, 2], seed: random });
 * adam.step(flow.parameters, { learningRate: 1e-3 });
 */
export function reverseKL(flow: Flow, energy: Energy, options: EnergyLossOptions): Tensor {
  requireEnergyLoss('reverseKL', flow, energy, options);
  return energyLoss('reverseKL', flow, energy, options, (excess) => ({
    loss: mean(excess),
    weights: full([excess.size], 1 / excess.size, excess),
  }));
}
