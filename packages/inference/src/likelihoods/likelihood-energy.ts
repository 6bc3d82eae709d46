/** The energy of a posterior whose likelihood is a flow. Mathematics: docs/math/inference/neural-likelihood.md */
import type { HostArray } from '@invnet/datasets';
import type { Energy, Flow } from '@invnet/flows';
import { type Bijection, withoutGradients } from '@invnet/layers';
import { add, concat, mul, neg, ones, sum, type Tensor, tensor, tidy } from '@invnet/tensor';
import type { Prior } from '../priors/prior.ts';
import { clampInto } from '../priors/support.ts';

/** What an energy is of. */
export interface LikelihoodEnergyParts {
  /** Of observations given free parameters. */
  readonly flow: Flow;
  readonly prior: Prior;
  /** From free parameters to the support. */
  readonly toSupport: Bijection;
  /** Observations of the same parameters, [K, F]. */
  readonly x: Tensor;
  /** u = mean + deviation ⊙ v. */
  readonly mean: Tensor;
  readonly deviation: Tensor;
}

/**
 * U(v) = −Σ_k log q(x_k | u) − log p(θ) − log|det ∂θ/∂u| with θ = T(u) and u = m + s ⊙ v, of v [N, D].
 *
 * The prior is evaluated on the host, so the backend has to read at once.
 */
export function likelihoodEnergy(parts: LikelihoodEnergyParts): Energy {
  const { flow, prior, toSupport, x, mean, deviation } = parts;
  const free = (v: Tensor) => add(mul(v, deviation), mean);
  const count = x.shape[0]!;
  /** log q of all observations, each beside each u: [N·K]. */
  const evaluate = (u: Tensor) => {
    const [n, d] = u.shape;
    const each = add(u.reshape([n!, 1, d!]), tensor(new Float64Array(count), [1, count, 1], u));
    const context = each.reshape([n! * count, d!]);
    const rows =
      n === 1
        ? x
        : concat(
            Array.from({ length: n! }, () => x),
            0,
          );
    return { ...flow.forward(rows, context), context };
  };
  const value = (v: Tensor) =>
    tidy(() => {
      const u = free(v);
      const { y, logdet } = toSupport.forward(u);
      const likelihood = sum(evaluate(u).logProb.reshape([v.shape[0]!, count]), { axes: [1] });
      return neg(add(add(likelihood, logdet), priorDensity(prior, y)));
    });
  return {
    value,
    withGradient: (v) =>
      tidy(() => {
        const [n, d] = v.shape;
        const u = free(v);
        const { y, logdet } = toSupport.forward(u);
        const { z, logProb, context } = evaluate(u);
        const likelihood = sum(logProb.reshape([n!, count]), { axes: [1] });
        const each = ones([n! * count], z);
        const { dcontext } = withoutGradients(flow, () => flow.backward(z, each, context));
        const slope = sum(dcontext!.reshape([n!, count, d!]), { axes: [1] });
        const score = onRows(prior, y, d!, (theta) => prior.score(theta).data);
        const { dx } = toSupport.backward(y, score, { dlogdet: ones([n!], y) });
        return {
          value: neg(add(add(likelihood, logdet), priorDensity(prior, y))),
          gradient: neg(mul(add(slope, dx), deviation)),
        };
      }),
  };
}

function priorDensity(prior: Prior, theta: Tensor): Tensor {
  return onRows(prior, theta, 1, (rows) => prior.logProb(rows)).reshape([theta.shape[0]!]);
}

/**
 * A function on the host of parameters, which are moved back into the support where they were rounded out of it; NaN where they
 * are no parameters at all, as at the end of a trajectory that diverges.
 */
function onRows(
  prior: Prior,
  theta: Tensor,
  width: number,
  f: (theta: HostArray) => Float32Array | Float64Array,
): Tensor {
  const data = Float64Array.from(theta.dataSync());
  clampInto(prior.support, data);
  const { size } = prior;
  const inside = prior
    .contains({ shape: theta.shape, data })
    .flatMap((within, i) => (within ? [i] : []));
  const result = new Float64Array(theta.shape[0]! * width).fill(Number.NaN);
  if (inside.length > 0) {
    const rows = new Float64Array(inside.length * size);
    inside.forEach((i, n) => {
      rows.set(data.subarray(i * size, (i + 1) * size), n * size);
    });
    const found = f({ shape: [inside.length, size], data: rows });
    inside.forEach((i, n) => {
      result.set(found.subarray(n * width, (n + 1) * width), i * width);
    });
  }
  return tensor(result, [theta.shape[0]!, width], theta);
}
