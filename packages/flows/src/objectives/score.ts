/** The gradient of a flow's log-density in x. Mathematics: docs/math/flows/score.md */
import { outsideSteps, withoutGradients } from '@invnet/layers';
import { ones, type Tensor, tidy } from '@invnet/tensor';
import { type Flow, requireFlow } from '../flow.ts';

/**
 * ∇ₓ log p(x), or ∇ₓ log p(x | context), of x's shape, with log p itself, [N]: one forward and one backward, in memory
 * that does not grow with depth. No gradient is added to any parameter.
 *
 * @throws ValueError, ShapeError as `logProb`.
 * @example const { score, logProb } = scoreOf(flow, x);
 */
export function scoreOf(
  flow: Flow,
  x: Tensor,
  context?: Tensor,
): { score: Tensor; logProb: Tensor } {
  requireFlow('scoreOf', flow);
  return outsideSteps(() =>
    tidy(() => {
      const { z, logProb } = flow.forward(x, context);
      const back = () => flow.backward(z, ones([z.shape[0]!], z), context);
      return { score: withoutGradients(flow, back).dx, logProb };
    }),
  );
}
