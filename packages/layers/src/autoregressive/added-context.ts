/**
 * A context that is added to layers of a MADE, as nflows does: f(V₀c + c₀) to the first layer, and Vⱼc + cⱼ to the
 * first layer of the j-th block. Mathematics: docs/math/autoregressive/made-block.md
 */
import { add, matmul, type Tensor, zeros } from '@invnet/tensor';
import { channelSums, sumOfTerms } from '../core/idioms.ts';
import type { Tangent } from '../core/tangent.ts';
import type { Activation } from '../elementwise/activation.ts';
import type { Parameter } from '../tree/parameter.ts';

/** A layer that the context goes through. */
export interface ContextLayer {
  readonly w: Parameter;
  readonly b: Parameter;
}

/** V₀c + c₀, and f of it. */
export interface Entry {
  readonly sums: Tensor;
  readonly values: Tensor;
}

/** To which of the network's layers the j-th of the context's is added. */
export function targetOf(j: number): number {
  return Math.max(0, 2 * j - 1);
}

/** The layers of a context, of which the first has an activation. */
export class AddedContext {
  readonly #layers: readonly ContextLayer[];
  readonly #activation: Activation;

  constructor(layers: readonly ContextLayer[], activation: Activation) {
    this.#layers = layers;
    this.#activation = activation;
  }

  /** What each layer adds. */
  apply(context: Tensor): { shares: Tensor[]; entry: Entry } {
    const [sums, ...others] = this.#layers.map(({ w, b }) => add(product(context, w.data), b.data));
    const values = this.#activation.apply(sums!);
    return { shares: [values, ...others], entry: { sums: sums!, values } };
  }

  /** The directions of what each layer adds. */
  tangent(context: Tensor, { sums, values }: Entry, tangent: Tangent): Tensor[] {
    const { parameters } = tangent;
    const [entering, ...others] = this.#layers.map(({ w, b }) => {
      const still = zeros([context.shape[0]!, w.shape[0]!], context);
      const dw = parameters?.get(w);
      return sumOfTerms(
        still,
        still,
        tangent.context && product(tangent.context, w.data),
        dw && product(context, dw),
        parameters?.get(b)?.reshape([1, -1]),
      );
    });
    return [this.#activation.grad(values, entering!, sums), ...others];
  }

  /** The context's gradient for those of the layers that it is added to; adds to those of its parameters. */
  backward(context: Tensor, { sums, values }: Entry, gradients: readonly Tensor[]): Tensor {
    const terms = this.#layers.map(({ w, b }, j) => {
      const dz = gradients[targetOf(j)]!;
      const dy = j === 0 ? this.#activation.grad(values, dz, sums) : dz;
      if (!w.frozen) w.takeGrad(matmul(dy, context, { transposeA: true }));
      if (!b.frozen) b.takeGrad(channelSums(dy));
      return matmul(dy, w.data);
    });
    return sumOfTerms(context, ...terms);
  }
}

/** c Vᵀ */
function product(context: Tensor, w: Tensor): Tensor {
  return matmul(context, w, { transposeB: true });
}
