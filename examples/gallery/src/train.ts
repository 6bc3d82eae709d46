/** A few steps of maximum likelihood, as the programs for networks take them. */
import { type Flow, negativeLogLikelihood } from '@invnet/flows';
import { zeroGrad } from '@invnet/layers';
import type { Tensor } from '@invnet/tensor';
import { Adam } from '@invnet/train';

/** Trains on batches drawn anew, and prints the loss at the start and at the end. */
export async function maximizeLikelihood(
  flow: Flow,
  draw: () => { x: Tensor; context?: Tensor },
  { steps = 60, learningRate = 3e-3 } = {},
): Promise<void> {
  const adam = new Adam();
  for (let step = 1; step <= steps; step++) {
    const { x, context } = draw();
    zeroGrad(flow.parameters);
    using loss = negativeLogLikelihood(flow, x, context);
    adam.step(flow.parameters, { learningRate });
    if (step === 1 || step === steps) {
      console.log(`step ${step}: ${(await loss.data())[0]!.toFixed(3)} nats`);
    }
    x.dispose();
    context?.dispose();
  }
  adam.dispose();
}
