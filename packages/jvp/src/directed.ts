/** One interface over both directions of a bijection, so that each check is written once. */
import type { Bijection, Tangent } from '@invnet/layers';
import type { Tensor } from '@invnet/tensor';

/** A map u ↦ v with its derivatives: a bijection read forwards or backwards. */
export interface DirectedMap {
  readonly direction: 'forward' | 'inverse';
  apply(u: Tensor, context?: Tensor): { v: Tensor; logdet: Tensor };
  /** Recomputes u from v, and returns du = Jᵀdv + dlogdet·∇logdet. */
  back(
    v: Tensor,
    dv: Tensor,
    options: { dlogdet?: Tensor; context?: Tensor | undefined },
  ): { u: Tensor; du: Tensor; dcontext?: Tensor };
  jvp(
    u: Tensor,
    tangent: Tangent,
    context?: Tensor,
  ): { v: Tensor; dv: Tensor; logdet: Tensor; dlogdet: Tensor };
}

/** The bijection as it stands. */
export function forwardMap(f: Bijection): DirectedMap {
  return {
    direction: 'forward',
    apply: (u, context) => {
      const { y, logdet } = f.forward(u, context);
      return { v: y, logdet };
    },
    back: (v, dv, options) => {
      const { x, dx, ...rest } = f.backward(v, dv, options);
      return { u: x, du: dx, ...rest };
    },
    jvp: (u, tangent, context) => {
      const { y, dy, ...rest } = f.jvp(u, tangent, context);
      return { v: y, dv: dy, ...rest };
    },
  };
}

/** The bijection read backwards. */
export function inverseMap(f: Bijection): DirectedMap {
  return {
    direction: 'inverse',
    apply: (u, context) => {
      const { x, logdet } = f.inverse(u, context);
      return { v: x, logdet };
    },
    back: (v, dv, options) => {
      const { y, dy, ...rest } = f.backwardInverse(v, dv, options);
      return { u: y, du: dy, ...rest };
    },
    jvp: (u, tangent, context) => {
      const { x, dx, ...rest } = f.jvpInverse(u, tangent, context);
      return { v: x, dv: dx, ...rest };
    },
  };
}
