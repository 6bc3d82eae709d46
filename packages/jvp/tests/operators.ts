/** Functions of the rows: operators of unrolled loops, and a map with its inverse, by the names that files know. */
import {
  type BackwardOptions,
  type CustomBijectionParts,
  named,
  Parameter,
  sumOfTerms,
  type Tangent,
} from '@invnet/layers';
import type { LinearForwardOperator, NonlinearForwardOperator } from '@invnet/networks';
import {
  add,
  affine,
  concat,
  exp,
  mul,
  ones,
  slice,
  square,
  sum,
  type Tensor,
  tidy,
  zeros,
} from '@invnet/tensor';

/** A = 0.7 I */
export const scaling: LinearForwardOperator = named('scaling', {
  forward: (u) => affine(u, 0.7),
  adjoint: (r) => affine(r, 0.7),
});

/** Takes the first of two channels. */
export const firstChannel: LinearForwardOperator = named('first channel', {
  forward: (u) => slice(u, 1, 0, 1),
  adjoint: (r) => tidy(() => concat([r, zeros(r.shape, r)], 1)),
});

/** F(u) = u² */
export const squares: NonlinearForwardOperator = named('squares', {
  forward: square,
  jvp: (u, du) => twiceProduct(u, du),
  vjp: (u, r) => twiceProduct(u, r),
  hvp: (_, r, du) => twiceProduct(r, du),
});

function twiceProduct(a: Tensor, b: Tensor): Tensor {
  return tidy(() => affine(mul(a, b), 2));
}

/** y = x exp(a c) on two channels, with a parameter a and a context c; logdet = 2 a c. */
export function stretching(): CustomBijectionParts {
  const a = new Parameter('a', ones([1]));
  /** u exp(± a c) */
  const moved = (u: Tensor, c: Tensor, sign: number) => mul(u, exp(affine(mul(a.data, c), sign)));
  const back = (u: Tensor, dv: Tensor, { dlogdet, context }: BackwardOptions, sign: number) => {
    const c = context!;
    const along = sum(mul(dv, moved(u, c, sign)), { axes: [1], keepDims: true });
    const volume = dlogdet && affine(dlogdet.reshape([-1, 1]), 2);
    const rate = affine(volume ? add(along, volume) : along, sign);
    a.accumulateGrad(sum(mul(rate, c)).reshape([1]));
    return { du: moved(dv, c, sign), dcontext: mul(rate, a.data) };
  };
  const tangent = (u: Tensor, { x, parameters, context }: Tangent, c: Tensor, sign: number) => {
    const da = parameters?.get(a);
    const rate = affine(sumOfTerms(c, da && mul(c, da), context && mul(context, a.data)), sign);
    const dv = sumOfTerms(u, x && moved(x, c, sign), mul(moved(u, c, sign), rate));
    return { dv, dlogdet: affine(rate, 2).reshape([-1]) };
  };
  return named('stretching', {
    parameters: [a],
    forward: (x: Tensor, c?: Tensor) => moved(x, c!, 1),
    inverse: (y: Tensor, c?: Tensor) => moved(y, c!, -1),
    logdet: (_x: Tensor, _y: Tensor, c?: Tensor) => affine(mul(a.data, c!), 2).reshape([-1]),
    backward: (x: Tensor, dy: Tensor, options: BackwardOptions) => {
      const { du: dx, dcontext } = back(x, dy, options, 1);
      return { dx, dcontext };
    },
    backwardInverse: (y: Tensor, dx: Tensor, options: BackwardOptions) => {
      const { du: dy, dcontext } = back(y, dx, options, -1);
      return { dy, dcontext };
    },
    jvp: (x: Tensor, direction: Tangent, c?: Tensor) => {
      const { dv: dy, dlogdet } = tangent(x, direction, c!, 1);
      return { dy, dlogdet };
    },
    jvpInverse: (y: Tensor, direction: Tangent, c?: Tensor) => {
      const { dv: dx, dlogdet } = tangent(y, direction, c!, -1);
      return { dx, dlogdet };
    },
  });
}

/** What makes them, for loading. */
export const operators = {
  stretching,
  scaling: () => scaling,
  'first channel': () => firstChannel,
  squares: () => squares,
};
