/** Rotations of a skew-symmetric matrix, and their derivatives. Mathematics: docs/math/linear/orthogonal.md */
import {
  add,
  affine,
  div,
  matmul,
  neg,
  permute,
  sub,
  sumSquares,
  type Tensor,
  tensor,
  tidy,
} from '@invnet/tensor';
import type { Tangent } from '../core/tangent.ts';
import type { Parameter } from '../tree/parameter.ts';
import { identityMatrix } from './matrices.ts';
import { type EvaluatedMixing, type Mixing, orthogonalBy } from './mixing.ts';

/** How a skew-symmetric matrix becomes a rotation. */
export type SkewMap = 'exponential' | 'cayley';

/** How often the argument of the exponential is halved; its series there has five groups of five terms. */
const HALVINGS = 4;
const GROUPS = 5;

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
    r: exponential({ value: a }).value,
    along: (da) => exponential({ value: a, along: da }).along!,
    // That of the transposed argument, which is −A.
    back: (dr) => exponential({ value: neg(a), along: dr }).along!,
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

/** A matrix, and its derivative along a direction if that is asked for. */
interface Moving {
  readonly value: Tensor;
  readonly along?: Tensor | undefined;
}

/**
 * eᴬ by its series at B = A/2ˢ, squared s times. The terms Bᵏ/k! go in groups, of which each is a sum of the
 * same few powers times a power of B⁵ (Paterson and Stockmeyer, 1973): eight products for 24 terms.
 */
function exponential(a: Moving): Moving {
  return tidy(() => {
    const unit = identityMatrix(a.value);
    const powers = [sumOf([[2 ** -HALVINGS, a]])];
    while (powers.length < GROUPS) powers.push(product(powers[0]!, powers.at(-1)!));
    const group = (j: number): Moving => {
      const coefficient = (i: number) => 1 / factorial(GROUPS * j + i);
      const terms = powers.slice(0, -1).map((power, i) => [coefficient(i + 1), power] as const);
      return sumOf([[coefficient(0), { value: unit }], ...terms]);
    };
    let e = group(GROUPS - 1);
    for (let j = GROUPS - 2; j >= 0; j--) {
      e = sumOf([
        [1, product(e, powers.at(-1)!)],
        [1, group(j)],
      ]);
    }
    for (let i = 0; i < HALVINGS; i++) e = product(e, e);
    return e;
  });
}

function product(a: Moving, b: Moving): Moving {
  const value = matmul(a.value, b.value);
  if (!a.along || !b.along) return { value };
  return { value, along: add(matmul(a.along, b.value), matmul(a.value, b.along)) };
}

/** Σ cₖAₖ, of which those without a direction do not move. */
function sumOf(terms: readonly (readonly [number, Moving])[]): Moving {
  const scaled = (pick: (m: Moving) => Tensor | undefined) =>
    terms.flatMap(([c, m]) => {
      const t = pick(m);
      return t ? [affine(t, c)] : [];
    });
  const directions = scaled((m) => m.along);
  return {
    value: scaled((m) => m.value).reduce((x, y) => add(x, y)),
    ...(directions.length > 0 && { along: directions.reduce((x, y) => add(x, y)) }),
  };
}

function factorial(n: number): number {
  return n < 2 ? 1 : n * factorial(n - 1);
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
