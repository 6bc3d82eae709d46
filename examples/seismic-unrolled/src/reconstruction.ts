/** From data to an image by the loop, and the loss to train it with. */
import { halfSquaredError } from '@invnet/metrics';
import type { UnrolledLoop } from '@invnet/networks';
import { div, sumSquares, type Tensor, tidy, zeros, zerosLike } from '@invnet/tensor';
import { type Case, callsBefore, type Shot } from './cases.ts';
import type { Survey } from './survey.ts';

/** A loop and the survey that it inverts. */
export interface Solver {
  readonly loop: UnrolledLoop;
  readonly iterations: number;
  /** Channels of the image and of the loop's memory. */
  readonly state: number;
  readonly survey: Survey;
}

/** How often J or Jᵀ is applied for an image, what comes before the loop included. */
export function callsOf({ iterations }: Solver): number {
  return callsBefore + 2 * iterations;
}

/** The image that the loop makes of a shot, [1, 1, height, width]. */
export function reconstruct(solver: Solver, shot: Shot): Tensor {
  return tidy(() => solver.survey.inRock(iterate(solver, shot)[0]));
}

/** ½‖x − truth‖²/‖truth‖², so that strong contrasts do not outweigh weak ones; gradients are added to those of the parameters. */
export function reconstructionLoss(solver: Solver, one: Case): Tensor {
  return tidy(() => {
    const [x, memory] = iterate(solver, one);
    const image = solver.survey.inRock(x);
    const { loss, gradient } = halfSquaredError(image, one.truth);
    const size = sumSquares(one.truth);
    const dy = [solver.survey.inRock(div(gradient, size)), zerosLike(memory)] as const;
    solver.loop.backward([x, memory], dy, { context: one.data });
    return div(loss, size);
  });
}

/** Image and memory after all iterations; they begin with the migrated image and an empty memory. */
function iterate({ loop, state, survey }: Solver, { physics, data, migrated }: Shot) {
  survey.physics = physics;
  const [height, width] = survey.size;
  return loop.forward([migrated, zeros([1, state - 1, height, width])], data).y;
}
