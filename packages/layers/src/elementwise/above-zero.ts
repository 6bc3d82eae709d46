/** Numbers that are above zero but for rounding. Mathematics: docs/math/elementwise/constrained.md */
import { add, affine, full, log, maximum, minimum, sign, type Tensor, tidy } from '@invnet/tensor';

/** So small that few maps give it, and so large that its half and its reciprocal are normal numbers. */
const least = { float32: 2 ** -120, float64: 2 ** -1000 } as const;

/** x, but a number above zero where it was rounded to zero; NaN where it is below. */
export function aboveZero(x: Tensor): Tensor {
  return tidy(() => add(maximum(x, full([], least[x.dtype], x)), nanBelow(x, 0)));
}

/** NaN where x is below the limit, and 0 elsewhere: what is no image of a map is not taken for one. */
export function nanBelow(x: Tensor, limit: number): Tensor {
  return tidy(() => {
    const side = minimum(sign(affine(x, 1, -limit)), full([], 0, x));
    return log(affine(side, 2, 1));
  });
}
