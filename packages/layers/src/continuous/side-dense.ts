/**
 * A dense layer of a `SmoothField`: it sees time and context beside its argument. Mathematics:
 * docs/math/continuous/velocity-field.md
 */
import { accumulate, add, matmul, type Tensor, zeros } from '@invnet/tensor';
import { channelSums, sumOfTerms } from '../core/idioms.ts';
import type { EvaluatedLayer } from '../residual/lipschitz-layer.ts';
import type { Parameter } from '../tree/parameter.ts';

/** w [out, in] of the argument, u [out, S] of what stands beside it, and b [out]. */
export interface SideWeights {
  readonly w: Parameter;
  readonly u: Parameter;
  readonly b: Parameter;
}

/** What every layer of a field sees beside its argument. */
export interface Side {
  /** [N, S], or [1, S] for all samples. */
  readonly values: Tensor;
  /** Where its gradient is added, [N, S]. */
  readonly gradient?: Tensor | undefined;
  /** Takes gradients of parameters over. Default: the parameters do. */
  readonly collect?: ((p: Parameter, g: Tensor) => void) | undefined;
}

/** g(h) = w h + u s + b at a side s; a tangent's context is a direction of s. */
export function sideDense({ w, u, b }: SideWeights, side: Side): EvaluatedLayer {
  const { values, gradient, collect = (p, g) => p.takeGrad(g) } = side;
  const product = (h: Tensor, weights: Tensor) => matmul(h, weights, { transposeB: true });
  const outer = (d: Tensor, h: Tensor) => matmul(d, h, { transposeA: true });
  const shift = add(product(values, u.data), b.data);
  return {
    apply: (h) => add(product(h, w.data), shift),
    push: (_, v) => product(v, w.data),
    pull: (_, d) => matmul(d, w.data),
    accumulate: (h, d) => {
      const sums = channelSums(d);
      if (!w.frozen) collect(w, outer(d, h));
      if (!u.frozen) {
        const each = values.shape[0] === d.shape[0];
        collect(u, outer(each ? d : sums.reshape([1, -1]), values));
      }
      if (gradient) accumulate(gradient, matmul(d, u.data));
      if (!b.frozen) collect(b, sums);
    },
    accumulateBend: (_, v, d) => {
      if (!w.frozen) collect(w, outer(d, v));
    },
    moved: (h, { parameters, context: ds }) => {
      const [dw, du, db] = [w, u, b].map((p) => parameters?.get(p));
      const terms = [
        dw && product(h, dw),
        du && product(values, du),
        db?.reshape([1, -1]),
        ds && product(ds, u.data),
      ];
      if (terms.every((t) => t === undefined)) return undefined;
      return add(zeros([h.shape[0]!, shift.shape[1]!], h), sumOfTerms(shift, ...terms));
    },
    movedPush: (_, v, { parameters }) => {
      const dw = parameters?.get(w);
      return dw && product(v, dw);
    },
  };
}
