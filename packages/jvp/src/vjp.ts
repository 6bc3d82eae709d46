/** Vector–Jacobian products that return gradients instead of accumulating them. */
import {
  type BackwardOptions,
  type Bijection,
  type Parameter,
  ParameterMap,
  requireBijection,
  type State,
} from '@invnet/layers';
import type { Tensor } from '@invnet/tensor';

/** The result of `vjp`; its tensors belong to the caller. */
export interface Vjp<S extends State = Tensor> {
  readonly x: S;
  readonly dx: S;
  readonly dcontext?: Tensor;
  /** Gradients of the parameters that got one, under any of their names; frozen ones have none. */
  readonly gradients: ReadonlyMap<Parameter, Tensor>;
}

/**
 * Jᵀ applied to (dy, dlogdet), in the input, the context and the parameters. What the parameters
 * had accumulated before stays as it was.
 *
 * @example const { dx, gradients } = vjp(net, y, dy, { dlogdet });
 */
export function vjp<S extends State>(
  f: Bijection<S>,
  y: S,
  dy: S,
  options: BackwardOptions = {},
): Vjp<S> {
  requireBijection('vjp', 'f', f as Bijection<State>);
  const before = f.parameters.map((p) => p.detachGrad());
  const gradients = new ParameterMap<Tensor>();
  try {
    const result = f.backward(y, dy, options);
    for (const p of f.parameters) {
      const gradient = p.detachGrad();
      if (!gradient) continue;
      // A parameter keeps its gradient out of every `tidy`; a view is one of the caller's own.
      gradients.set(p, gradient.reshape(gradient.shape));
      gradient.dispose();
    }
    return { ...result, gradients };
  } finally {
    f.parameters.forEach((p, i) => {
      const earlier = before[i];
      if (earlier) p.attachGrad(earlier);
      // What a backward that threw had gathered so far.
      else p.zeroGrad();
    });
  }
}
