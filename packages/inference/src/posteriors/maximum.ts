/** Where a posterior's density is highest, by gradient. Mathematics: docs/math/inference/neural-posterior.md */
import type { HostArray } from '@invnet/datasets';
import type { Flow } from '@invnet/flows';
import { type Bijection, Parameter, withoutGradients } from '@invnet/layers';
import { add, mul, neg, ones, type RandomStream, type Tensor, tensor, tidy } from '@invnet/tensor';
import { Adam, warmupCosine } from '@invnet/train';
import { columnMoments } from '../summaries/moments.ts';
import type { Observations } from './observations.ts';

/** How to look for the highest density. */
export interface MapOptions {
  readonly x: Observations;
  /** Of the samples that the search begins at. */
  readonly seed: number | RandomStream;
  /** Searches at once; they begin at the best of a hundred times as many samples. Default: 16. */
  readonly starts?: number;
  /** Default: 200. */
  readonly steps?: number;
}

/** The best that was found. */
export interface Maximum {
  /** [D], or [K, D] for several observations. */
  readonly theta: HostArray;
  /** log p(θ | x), one for each observation. */
  readonly logProb: Float64Array;
}

/** What is searched, and from where. */
export interface Search {
  /** Of parameters in the support. */
  readonly flow: Flow;
  /** From all numbers to the support. */
  readonly toSupport: Bijection;
  /** The summary, [1, features]. */
  readonly context: Tensor;
  /** Samples, [N, D], whose spread is the scale of the search. */
  readonly samples: HostArray;
  /** The samples to begin at. */
  readonly starts: readonly number[];
  readonly steps: number;
}

/**
 * The parameters of the highest density that Adam finds from the starts, and log p there. It moves v in u = m + s ⊙ v, with
 * mean m and deviation s of the samples before the map to the support.
 */
export async function maximize(search: Search): Promise<{ theta: Float64Array; logProb: number }> {
  const { flow, toSupport, context, samples, starts, steps } = search;
  const size = samples.shape[1]!;
  using free = tidy(() => toSupport.inverse(tensor(samples.data, samples.shape)).x);
  const u = await free.data();
  const { mean, deviation } = columnMoments(u, size);
  const v = starts.flatMap((i) =>
    Array.from({ length: size }, (_, c) => (u[i * size + c]! - mean[c]!) / deviation[c]!),
  );
  const shape = [starts.length, size];
  const parameter = new Parameter('v', tensor(v, shape));
  using scale = tensor(deviation, [1, size]);
  using shift = tensor(mean, [1, size]);
  const optimizer = new Adam();
  const schedule = warmupCosine({ rate: 0.05, finalRate: 0.001, steps });
  let best = { theta: new Float64Array(size), logProb: Number.NEGATIVE_INFINITY };
  try {
    for (let step = 0; step <= steps; step++) {
      const { theta, logProb, dv } = tidy(() => {
        const { y } = toSupport.forward(add(mul(parameter.data, scale), shift));
        const { z, logProb } = flow.forward(y, context);
        const each = ones([starts.length], z);
        const { dx } = withoutGradients(flow, () => flow.backward(z, each, context));
        return { theta: y, logProb, dv: neg(mul(toSupport.backward(y, dx).dx, scale)) };
      });
      using gradient = dv;
      using values = theta;
      using densities = logProb;
      const found = await densities.data();
      const at = found.reduce((top, p, i) => (p > found[top]! ? i : top), 0);
      if (found[at]! > best.logProb) {
        const all = await values.data();
        const own = Float64Array.from(all.subarray(at * size, (at + 1) * size));
        best = { theta: own, logProb: found[at]! };
      }
      if (step === steps) break;
      parameter.accumulateGrad(gradient);
      optimizer.step([parameter], { learningRate: schedule(step) });
      parameter.zeroGrad();
    }
  } finally {
    optimizer.dispose();
    parameter.dispose();
  }
  return best;
}
