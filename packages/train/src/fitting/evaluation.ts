/** The loss over rows that are not trained on. */
import type { RowSource } from '@invnet/datasets';
import type { Flow } from '@invnet/flows';
import { Module, placesIn, TrainingStep, zeroGrad } from '@invnet/layers';
import { mean, mul, neg, type Tensor, tidy, ValueError } from '@invnet/tensor';
import {
  batchOfLoss,
  disposeBatch,
  type Preparation,
  type PreparedBatch,
  validationBatches,
} from './batches.ts';
import type { FitLoss } from './options.ts';

/**
 * The mean loss over a source's rows, with the flow in evaluation: −mean log p, or a loss of one's own.
 *
 * @throws ValueError when there are no rows.
 */
export async function evaluateLoss(
  flow: Flow,
  source: RowSource,
  how: Preparation,
  loss: FitLoss | undefined,
): Promise<number> {
  const modes = [...placesIn(flow)].map(({ module }) => [module, module.training] as const);
  flow.training = false;
  try {
    const sums = new Float64Array(2);
    for await (const batch of validationBatches(source, how)) {
      try {
        using value = lossOf(flow, batch, loss);
        sums[0]! += (await value.data())[0]! * batch.rows;
        sums[1]! += batch.weight;
      } finally {
        disposeBatch(batch);
      }
    }
    how.communicator?.sum(sums);
    const [sum, weight] = [sums[0]!, sums[1]!];
    if (weight > 0) return sum / weight;
    throw new ValueError(
      'fit: there are no validation rows, or all have a weight of 0; expected some.',
    );
  } finally {
    for (const [module, training] of modes) Module.setMode(module, training);
  }
}

function lossOf(flow: Flow, batch: PreparedBatch, loss: FitLoss | undefined): Tensor {
  if (!loss) {
    return tidy(() => {
      const logProb = flow.logProb(batch.x, batch.context);
      return neg(mean(batch.weights ? mul(logProb, batch.weights) : logProb));
    });
  }
  // Within a step that is undone, so that running statistics stay where they are.
  const attempt = new TrainingStep();
  try {
    return attempt.run(() => loss(flow, batchOfLoss(batch)));
  } finally {
    attempt.rollback();
    zeroGrad(flow.parameters);
  }
}
