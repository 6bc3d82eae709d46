/** Vector–Jacobian products that return gradients instead of accumulating them. */
import type { BackwardOptions, Bijection, Parameter, State } from '@invnet/layers';
import { keep, type Tensor } from '@invnet/tensor';

/** The result of `vjp`; its tensors belong to the caller. */
export interface Vjp<S extends State = Tensor> {
  readonly x: S;
  readonly dx: S;
  readonly dcontext?: Tensor;
  /** Gradients of the parameters that got one; frozen parameters have none. */
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
  const before = f.parameters.map((p) => p.detachGrad());
  const result = f.backward(y, dy, options);
  const gradients = new Map<Parameter, Tensor>();
  f.parameters.forEach((p, i) => {
    const gradient = p.detachGrad();
    if (gradient) gradients.set(p, keep(gradient));
    const earlier = before[i];
    if (earlier) p.attachGrad(earlier);
  });
  return { ...result, gradients };
}
