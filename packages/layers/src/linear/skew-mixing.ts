/** Rotations of a skew-symmetric matrix, and their derivatives. Mathematics: docs/math/linear/orthogonal.md */
import {
  add,
  affine,
  concat,
  div,
  matmul,
  neg,
  permute,
  slice,
  sub,
  sumSquares,
  type Tensor,
  tensor,
  tidy,
  zerosLike,
} from '@invnet/tensor';
import type { Tangent } from '../core/tangent.ts';
import type { Parameter } from '../tree/parameter.ts';
import { identityMatrix } from './matrices.ts';
import { type EvaluatedMixing, type Mixing, orthogonalBy } from './mixing.ts';

/** How a skew-symmetric matrix becomes a rotation. */
export type SkewMap = 'exponential' | 'cayley';

/** How often the argument of the exponential is halved, and the degree of its series there. */
const HALVINGS = 4;
const DEGREE = 24;

/** Of Newton's iteration: the error of a matrix A is below rounding up to ‖A‖ = 1000. */
const ITERATIONS = 26;

/** W = R(a − aᵀ) Q */
export class SkewMixing implements Mixing {
  readonly parameters: readonly [Parameter];
  readonly #map: SkewMap;
  readonly #start: readonly number[] | undefined;

  constructor(a: Parameter, map: SkewMap, start: readonly number[] | undefined) {
    this.parameters = [a];
    this.#map = map;
    this.#start = start;
  }

  evaluate(): EvaluatedMixing {
    const [p] = this.parameters;
    const a = skew(p.data);
    const q = this.#start && tensor(this.#start, p.shape, p.data);
    const { r, along, back } = rotations[this.#map](a);
    const before = (m: Tensor) => (q ? matmul(m, q) : m);
    return {
      ...orthogonalBy(before(r)),
      tangent: (tangent: Tangent) => {
        const d = tangent.parameters?.get(p);
        return d && before(along(skew(d)));
      },
      accumulate: (g) => {
        p.takeGrad(skew(back(q ? matmul(g, q, { transposeB: true }) : g)));
      },
    };
  }
}

/** A rotation R(A), its derivative along a direction of A, and the adjoint of that. */
interface Rotation {
  readonly r: Tensor;
  along(da: Tensor): Tensor;
  back(dr: Tensor): Tensor;
}

const rotations: Readonly<Record<SkewMap, (a: Tensor) => Rotation>> = {
  exponential: (a) => ({
    r: exponential(a),
    along: (da) => derivative(a, da),
    // That of the transposed argument, which is −A.
    back: (dr) => derivative(neg(a), dr),
  }),
  // R = 2(I + A)⁻¹ − I, and so Ṙ = −½(R + I)Ȧ(R + I).
  cayley: (a) => {
    const unit = identityMatrix(a);
    const inverse = inverseOfShifted(a);
    return {
      r: sub(affine(inverse, 2), unit),
      along: (da) => affine(matmul(inverse, matmul(da, inverse)), -2),
      back: (dr) =>
        affine(
          matmul(inverse, matmul(dr, inverse, { transposeB: true }), { transposeA: true }),
          -2,
        ),
    };
  },
};

/** a − aᵀ, which is also its own adjoint. */
function skew(a: Tensor): Tensor {
  return sub(a, permute(a, [1, 0]));
}

/** eᴬ by its series at A/2ˢ, squared s times. */
function exponential(a: Tensor): Tensor {
  return tidy(() => {
    const unit = identityMatrix(a);
    const part = affine(a, 2 ** -HALVINGS);
    let e = unit;
    for (let k = DEGREE; k > 0; k--) {
      const below = e;
      e = tidy(() => add(affine(matmul(part, below), 1 / k), unit));
      if (below !== unit) below.dispose();
    }
    for (let i = 0; i < HALVINGS; i++) {
      const half = e;
      e = matmul(half, half);
      half.dispose();
    }
    return e;
  });
}

/** The derivative of eᴬ along E: above the diagonal of the exponential of the matrix of blocks A, E; 0, A. */
function derivative(a: Tensor, e: Tensor): Tensor {
  return tidy(() => {
    const n = a.shape[0]!;
    const blocks = concat([concat([a, e], 1), concat([zerosLike(a), a], 1)], 0);
    return slice(slice(exponential(blocks), 0, 0, n), 1, n, n);
  });
}

/** (I + A)⁻¹ of a skew A by Newton's iteration X ← X(2I − MX), from Mᵀ over a bound of ‖M‖². */
function inverseOfShifted(a: Tensor): Tensor {
  return tidy(() => {
    const unit = identityMatrix(a);
    const m = add(unit, a);
    // The singular values of A come in pairs.
    let x = div(sub(unit, a), affine(sumSquares(a), 0.5, 1));
    for (let i = 0; i < ITERATIONS; i++) {
      const before = x;
      x = tidy(() => sub(affine(before, 2), matmul(before, matmul(m, before))));
      before.dispose();
    }
    return x;
  });
}
