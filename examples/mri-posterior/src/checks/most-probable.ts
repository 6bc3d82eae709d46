/**
 * The most probable image (MAP), by ascent along the flow's own gradient, beside the conditional mean: the mean has the
 * least expected squared error of all estimates, the MAP among them.
 */
import type { Flow } from '@invnet/flows';
import { freeze, Parameter, unfreeze } from '@invnet/layers';
import { full, type Tensor, tidy } from '@invnet/tensor';
import { Adam } from '@invnet/train';
import { fromCoordinates, toCoordinates } from '../coordinates.ts';
import type { InverseProblem, Observations } from '../problem.ts';

const steps = 100;

/**
 * Images of high posterior density, found from `start` on, [N, C, H, W]. Coordinates are linear in the image, so their
 * most probable point is the image's.
 */
export function mostProbable(options: {
  readonly flow: Flow;
  readonly problem: InverseProblem;
  readonly observations: Observations;
  readonly start: Tensor;
}): Tensor {
  const { flow, problem, observations, start } = options;
  const kappa = problem.spread / problem.noise;
  freeze(flow, '**');
  try {
    return tidy(() => {
      const v = new Parameter('v', toCoordinates(start, observations, kappa));
      const adam = new Adam();
      for (let step = 0; step < steps; step++) {
        v.zeroGrad();
        v.takeGrad(descent(flow, v.data, observations.context));
        const learningRate = 0.1 * problem.spread * (1 - step / steps);
        adam.step([v], { learningRate });
      }
      const x = fromCoordinates(v.data, observations, kappa);
      adam.dispose();
      v.dispose();
      return x;
    });
  } finally {
    unfreeze(flow, '**');
  }
}

/** −∂ log p(v | context)/∂v */
function descent(flow: Flow, v: Tensor, context: Tensor): Tensor {
  return tidy(() => {
    const { z } = flow.forward(v, context);
    return flow.backward(z, full([v.shape[0]!], -1, v), context).dx;
  });
}
