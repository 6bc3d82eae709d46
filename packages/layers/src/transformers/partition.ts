/** Parts of an interval, as many as there are bins, by a softmax. Mathematics: docs/math/transformers/splines.md */
import {
  add,
  affine,
  conv,
  convInputGrad,
  div,
  exp,
  max,
  mul,
  requireAtLeast,
  sub,
  sum,
  type Tensor,
  tensor,
  ValueError,
} from '@invnet/tensor';

/** Bins [N, K, M] that make up an interval: their left edges and widths. */
export interface Partition {
  readonly edges: Tensor;
  readonly widths: Tensor;
  /** The gradient of u for those of edges and widths. */
  gradient(dedges: Tensor, dwidths: Tensor): Tensor;
  /** The derivatives of edges and widths along du. */
  tangent(du: Tensor): { readonly edges: Tensor; readonly widths: Tensor };
}

/**
 * Widths R·(least + (1 − K·least)·softmax(u)) of K bins of the interval [low, high], R = high − low, u [N, K, M].
 */
export function partition(
  u: Tensor,
  [low, high]: readonly [number, number],
  least: number,
): Partition {
  const bins = u.shape[1]!;
  const range = high - low;
  const factor = range * (1 - bins * least);
  const shares = softmax(u);
  const before = sumsBefore(bins, u);
  const widths = affine(shares, factor, range * least);
  return {
    widths,
    edges: affine(conv(widths, before), 1, low),
    gradient: (dedges, dwidths) =>
      softmaxGrad(
        shares,
        affine(add(dwidths, convInputGrad(dedges, before, dedges.shape)), factor),
      ),
    tangent: (du) => {
      const moved = affine(softmaxGrad(shares, du), factor);
      return { widths: moved, edges: conv(moved, before) };
    },
  };
}

/** @throws ValueError unless bins of at least that share of the whole leave room to differ. */
export function requireLeast(op: string, name: string, least: number, bins: number): number {
  requireAtLeast(op, name, least, 0);
  if (bins * least < 1) return least;
  throw new ValueError(
    `${op}: ${name} is ${least} for ${bins} bins; expected less than ${1 / bins}, a share of the interval ` +
      'that leaves bins room to differ.',
  );
}

/** Along axis 1. */
function softmax(u: Tensor): Tensor {
  const along = { axes: [1], keepDims: true };
  const e = exp(sub(u, max(u, along)));
  return div(e, sum(e, along));
}

/** q ⊙ (d − Σ q d), the Jacobian of a softmax, which is symmetric, times d. */
function softmaxGrad(q: Tensor, d: Tensor): Tensor {
  return mul(q, sub(d, sum(mul(q, d), { axes: [1], keepDims: true })));
}

/** A convolution's kernel that sums all channels before each. */
export function sumsBefore(bins: number, like: Tensor): Tensor {
  const ones = Float64Array.from({ length: bins ** 2 }, (_, i) =>
    i % bins < Math.floor(i / bins) ? 1 : 0,
  );
  return tensor(ones, [bins, bins, 1], like);
}
