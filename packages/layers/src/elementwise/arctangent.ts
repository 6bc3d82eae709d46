/**
 * The arctangent and its inverse, of operations that every backend has, to the last digits of float64 and
 * float32. As primitives they would be in the kernels of every page, and those of graphics devices have few
 * digits.
 * Mathematics: docs/math/elementwise/activations-and-scales.md
 */
import {
  affine,
  div,
  full,
  maximum,
  minimum,
  sqrt,
  square,
  type Tensor,
  tidy,
} from '@invnet/tensor';

/** How often the angle is halved, and how many levels of the continued fraction remain: error 10⁻¹⁵. */
const HALVINGS = 3;
const LEVELS = 7;

const TANGENT_LEVELS = 10;

/** Its square is a number of float32, and its arctangent is π/2 in float64. */
const FAR = 1e18;

/**
 * arctan x = 8 arctan u with u = tan(θ/8) from three times tan(θ/2) = tan θ/(1 + √(1 + tan² θ)); then
 * arctan u = u/(1 + u²/(3 + 4u²/(5 + 9u²/(7 + …)))). Holds no more than three tensors beside x.
 */
export function arctangent(x: Tensor): Tensor {
  return tidy(() => {
    let u = tidy(() => minimum(maximum(x, full([], -FAR, x)), full([], FAR, x)));
    for (let i = 0; i < HALVINGS; i++) {
      u = replaced(u, (t) => div(t, affine(sqrt(affine(square(t), 1, 1)), 1, 1)));
    }
    const w = square(u);
    let q = affine(w, LEVELS ** 2 / (2 * LEVELS + 1), 2 * LEVELS - 1);
    for (let k = LEVELS - 1; k > 0; k--) {
      q = replaced(q, (below) => affine(div(w, below), k ** 2, 2 * k - 1));
    }
    w.dispose();
    return affine(div(u, q), 2 ** HALVINGS);
  });
}

/** tan v = v/(1 − v²/(3 − v²/(5 − …))) for |v| < π/2, up to where v itself tells no more. */
export function tangent(v: Tensor): Tensor {
  return tidy(() => {
    const w = square(v);
    let q = affine(w, -1 / (2 * TANGENT_LEVELS + 1), 2 * TANGENT_LEVELS - 1);
    for (let k = TANGENT_LEVELS - 1; k > 0; k--) {
      q = replaced(q, (below) => affine(div(w, below), -1, 2 * k - 1));
    }
    w.dispose();
    return div(v, q);
  });
}

/** What `next` makes of t, which is freed. */
function replaced(t: Tensor, next: (t: Tensor) => Tensor): Tensor {
  const made = tidy(() => next(t));
  t.dispose();
  return made;
}
