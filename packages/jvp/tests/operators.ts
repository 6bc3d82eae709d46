/** Physical operators of the rows of unrolled loops, with the names that files know them by. */
import { named } from '@invnet/layers';
import type { LinearForwardOperator, NonlinearForwardOperator } from '@invnet/networks';
import { affine, concat, mul, slice, square, type Tensor, tidy, zeros } from '@invnet/tensor';

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

/** What makes them, for loading. */
export const operators = {
  scaling: () => scaling,
  'first channel': () => firstChannel,
  squares: () => squares,
};
