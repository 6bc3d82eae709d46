/** Sums along the channels, one after the other. Mathematics: docs/math/elementwise/constrained.md */
import { conv, type Tensor, tensor, tidy } from '@invnet/tensor';

/** At channel c, the sum over those channels j for which `counts` says so, at every position. */
function sumsWhere(x: Tensor, counts: (c: number, j: number) => boolean): Tensor {
  return tidy(() => {
    const [n, channels] = [x.shape[0]!, x.shape[1]!];
    const kernel = Float64Array.from({ length: channels ** 2 }, (_, i) =>
      Number(counts(Math.floor(i / channels), i % channels)),
    );
    const flat = x.reshape([n, channels, -1]);
    return conv(flat, tensor(kernel, [channels, channels, 1], x)).reshape(x.shape);
  });
}

/** Σ over the channels up to this one. */
export const sumsThrough = (x: Tensor): Tensor => sumsWhere(x, (c, j) => j <= c);

/** Σ over the channels from this one on: the adjoint of `sumsThrough`. */
export const sumsFrom = (x: Tensor): Tensor => sumsWhere(x, (c, j) => j >= c);

/** Σ over the channels before this one. */
export const sumsBefore = (x: Tensor): Tensor => sumsWhere(x, (c, j) => j < c);

/** Σ over the channels behind this one. */
export const sumsAfter = (x: Tensor): Tensor => sumsWhere(x, (c, j) => j > c);
