/** A bijection in the place of a conditioner: for contexts that are squeezed or normalized. */
import type { Tensor } from '@invnet/tensor';
import type { Bijection } from './bijection.ts';
import type { Conditioner, Saved } from './conditioner.ts';

/** The result, which is not owned: keep it until `backward`. */
interface SavedResult extends Saved {
  readonly y: Tensor;
}

/**
 * g(x) = f(x), the log-determinant left aside.
 *
 * @example asConditioner(new HaarSqueeze()).forward(context)
 */
export function asConditioner(f: Bijection): Conditioner<SavedResult> {
  return {
    parameters: f.parameters,
    forward(x) {
      const { y, logdet } = f.forward(x);
      logdet.dispose();
      return { y, saved: { y, dispose: () => {} } };
    },
    backward(dy, saved) {
      const { x, dx } = f.backward(saved.y, dy);
      x.dispose();
      return { dx };
    },
    jvp(x, tangent) {
      const { y, dy, logdet, dlogdet } = f.jvp(x, tangent);
      logdet.dispose();
      dlogdet.dispose();
      return { y, dy };
    },
  };
}
